use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::message::Message;

/// A route netlink socket that asks one thing at a time.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: AtomicU32,
}

/// The kernel's answer when it refuses: the error and, where it gives one, its own words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) errno: i32,
    words: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        match self.words.as_str() {
            "" => Ok(()),
            words => write!(f, ": {words}"),
        }
    }
}

impl std::error::Error for Refusal {}

const HEADER: usize = 16;

impl Socket {
    pub(super) fn open() -> io::Result<Socket> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        // The kernel answers within the call; the limit only keeps a bug from hanging an agent.
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(5))?;
        ask_for_words(&fd)?;
        Ok(Socket {
            fd,
            sequence: AtomicU32::new(1),
        })
    }

    /// Sends a request and waits for its acknowledgement; gives the payload of the last answer before it, if any.
    pub(super) fn ask(&self, message: Message) -> io::Result<Vec<u8>> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        send(
            self.fd.as_raw_fd(),
            &message.finish(sequence),
            MsgFlags::empty(),
        )?;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while let Some((kind, number, payload, after)) = split(rest) {
                rest = after;
                if number != sequence {
                    continue;
                }
                match i32::from(kind) {
                    libc::NLMSG_ERROR => return acknowledged(payload).map(|()| answer),
                    _ => answer = payload.to_vec(),
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes the kernel add its own words to an error.
fn ask_for_words(fd: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is an integer that outlives the call.
    let set = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_EXT_ACK,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    match set {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes the first message off: its kind, its number, its payload, and what follows it.
fn split(bytes: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let header = bytes.get(..HEADER)?;
    let length = u32::from_ne_bytes(header[0..4].try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(header[4..6].try_into().ok()?);
    let number = u32::from_ne_bytes(header[8..12].try_into().ok()?);
    let payload = bytes.get(HEADER..length)?;
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, number, payload, after))
}

fn acknowledged(payload: &[u8]) -> io::Result<()> {
    let code = payload
        .get(..4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, i32::from_ne_bytes);
    if code == 0 {
        return Ok(());
    }
    let words = words(payload).unwrap_or_default();
    let refusal = Refusal {
        errno: code.saturating_neg(),
        words,
    };
    Err(io::Error::other(refusal))
}

/// The kernel's words, an attribute of kind 1 after the request that it sends back.
fn words(payload: &[u8]) -> Option<String> {
    const MESSAGE: u16 = 1;
    let request = payload.get(4..)?;
    let echoed = u32::from_ne_bytes(request.get(..4)?.try_into().ok()?) as usize;
    let mut rest = request.get(echoed.next_multiple_of(4)..)?;
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes(rest[0..2].try_into().ok()?));
        let kind = u16::from_ne_bytes(rest[2..4].try_into().ok()?);
        let value = rest.get(4..length)?;
        if kind == MESSAGE {
            return Some(
                String::from_utf8_lossy(value)
                    .trim_end_matches('\0')
                    .to_owned(),
            );
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut rest = bytes.as_slice();
            while let Some((_, _, payload, after)) = split(rest) {
                let _ = acknowledged(payload);
                super::super::message::link_index(payload);
                rest = after;
            }
            let _ = acknowledged(&bytes);
        }
    }
}
