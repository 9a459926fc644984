//! Round trips by ICMP echo, sent by depbench itself: no `ping` needed, and a grain of microseconds.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, socket,
};
use nix::sys::time::TimeSpec;

/// What became of a few echoes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Echoes {
    /// The round trips of those that were answered, shortest first.
    pub(crate) round_trips: Vec<Duration>,
    /// How many were sent.
    pub(crate) sent: u16,
}

impl Echoes {
    /// The middle one; `None` when none was answered.
    pub(crate) fn median(&self) -> Option<Duration> {
        self.round_trips.get(self.round_trips.len() / 2).copied()
    }

    /// Those not answered, of those sent.
    pub(crate) fn lost(&self) -> f64 {
        1.0 - self.round_trips.len() as f64 / f64::from(self.sent)
    }
}

const COUNT: u16 = 7;
const SPACING: Duration = Duration::from_millis(10);
const HEADER: usize = 8;
const REQUEST: u8 = 8;
const REPLY: u8 = 0;

/// Sends a few echoes to `target` from this thread's network namespace, and waits for the last answer up to `patience`.
///
/// # Errors
/// No privilege for raw sockets here, or no route to the target.
pub(crate) fn echo(target: Ipv4Addr, patience: Duration) -> io::Result<Echoes> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Icmp,
    )?;
    let mut sent: Vec<Instant> = Vec::new();
    let mut answered: Vec<Option<Duration>> = vec![None; usize::from(COUNT)];
    // Raw sockets see every echo of the namespace; the identifier tells ours.
    let identifier = std::process::id() as u16 ^ socket.as_raw_fd() as u16;
    let start = Instant::now();
    for number in 0..COUNT {
        let packet = request(identifier, number);
        sent.push(Instant::now());
        let to = SockaddrIn::from(std::net::SocketAddrV4::new(target, 0));
        sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
        let next = start + SPACING * u32::from(number + 1);
        collect(&socket, identifier, next, &sent, &mut answered)?;
    }
    let end = Instant::now() + patience;
    collect(&socket, identifier, end, &sent, &mut answered)?;
    let mut round_trips: Vec<Duration> = answered.into_iter().flatten().collect();
    round_trips.sort_unstable();
    Ok(Echoes {
        round_trips,
        sent: COUNT,
    })
}

/// Takes in answers until `until`, or until all have come.
fn collect(
    socket: &OwnedFd,
    identifier: u16,
    until: Instant,
    sent: &[Instant],
    answered: &mut [Option<Duration>],
) -> io::Result<()> {
    let mut buffer = [0; 1500];
    while answered.iter().any(Option::is_none) {
        let left = until.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?;
        let now = Instant::now();
        let number = reply(&buffer[..length], identifier).map(usize::from);
        if let Some((slot, at)) = number.and_then(|n| answered.get_mut(n).zip(sent.get(n))) {
            slot.get_or_insert(now.saturating_duration_since(*at));
        }
    }
    Ok(())
}

fn request(identifier: u16, number: u16) -> [u8; HEADER] {
    let mut packet = [0; HEADER];
    packet[0] = REQUEST;
    packet[4..6].copy_from_slice(&identifier.to_be_bytes());
    packet[6..8].copy_from_slice(&number.to_be_bytes());
    let sum: u32 = packet
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    packet[2..4].copy_from_slice(&(!((folded + (folded >> 16)) as u16)).to_be_bytes());
    packet
}

/// The number of the echo that an IP packet answers, if it answers one of ours.
fn reply(packet: &[u8], identifier: u16) -> Option<u16> {
    let header_length = usize::from(packet.first()? & 0x0f) * 4;
    let icmp = packet.get(header_length..)?.first_chunk::<HEADER>()?;
    let ours = icmp[0] == REPLY && icmp[4..6] == identifier.to_be_bytes();
    ours.then(|| u16::from_be_bytes([icmp[6], icmp[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_others() {
        let mut packet = vec![0x45; 20];
        packet.extend_from_slice(&request(7, 3));
        assert_eq!(reply(&packet, 7), None, "a request is no answer");
        packet[20] = REPLY;
        assert_eq!(reply(&packet, 7), Some(3));
        assert_eq!(reply(&packet, 8), None);
        for end in 0..packet.len() {
            assert_eq!(reply(&packet[..end], 7), None);
        }
    }

    #[test]
    fn the_loopback_answers() {
        match echo(Ipv4Addr::LOCALHOST, Duration::from_secs(1)) {
            Ok(echoes) => assert_eq!(echoes.round_trips.len(), usize::from(COUNT)),
            Err(error) => println!("skipped: needs root: {error}"),
        }
    }
}
