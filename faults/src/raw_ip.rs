//! IP packets sent as they are, source address and all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket,
};

/// Sockets for whole packets of both versions.
pub(crate) struct RawIp {
    version_4: OwnedFd,
    version_6: OwnedFd,
}

impl RawIp {
    /// Opens them in this thread's network namespace.
    ///
    /// # Errors
    /// No privilege for raw sockets here.
    pub(crate) fn open() -> io::Result<RawIp> {
        let open = |family| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            socket(family, SockType::Raw, flags, SockProtocol::Raw)
        };
        Ok(RawIp {
            version_4: open(AddressFamily::Inet)?,
            version_6: open(AddressFamily::Inet6)?,
        })
    }

    /// Sends a packet, header first, on its way.
    ///
    /// # Errors
    /// It is no IP packet, there is no route, or no room.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        let to = destination(packet).ok_or(io::ErrorKind::InvalidData)?;
        let socket = match to {
            IpAddr::V4(_) => &self.version_4,
            IpAddr::V6(_) => &self.version_6,
        };
        let to = SockaddrStorage::from(SocketAddr::new(to, 0));
        sendto(socket.as_raw_fd(), packet, &to, MsgFlags::empty())?;
        Ok(())
    }
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(IpAddr::from(*packet.get(16..)?.first_chunk::<4>()?)),
        6 => Some(IpAddr::from(*packet.get(24..)?.first_chunk::<16>()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_destination_is_read_from_the_header() {
        let mut packet = vec![0x45; 20];
        packet[16..].copy_from_slice(&[10, 0, 0, 3]);
        assert_eq!(destination(&packet), Some("10.0.0.3".parse().unwrap()));
        assert_eq!(destination(&packet[..19]), None);
        assert_eq!(destination(&[]), None);
    }
}
