use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use super::wire::{Answer, Message, answers};

/// The socket buffer asked for: a waiting notice takes under 1 KiB, and a full buffer loses packets.
const BUFFER: usize = 64 << 20;

/// Longer than any message about a packet of which nothing is copied.
const LONGEST_MESSAGE: usize = 4096;

/// The queues tried, so that several delays and other programs' queues can live side by side.
const NUMBERS: std::ops::Range<u16> = 29_000..29_256;

/// A packet that waits in the queue; ids grow, and wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketId(u32);

#[cfg(test)]
impl PacketId {
    pub(crate) fn new(id: u32) -> PacketId {
        PacketId(id)
    }
}

/// A packet queue of this network namespace, held until dropped; then its packets are gone, and new ones pass by
/// (rules say `--queue-bypass`).
pub(crate) struct Queue {
    socket: OwnedFd,
    number: u16,
}

impl Queue {
    /// Takes the first free queue, in which up to `length` packets may wait.
    ///
    /// # Errors
    /// No privilege over the network namespace, or a kernel without packet queues.
    pub(crate) fn open(length: u32) -> io::Result<Queue> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        // The forced size needs privilege over the whole machine; the plain one is capped by the system's maximum.
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
        }
        let mut queue = Queue { socket, number: 0 };
        queue.number = queue.bind_first_free()?;
        queue.request(&Message::parameters(queue.number, length))?;
        Ok(queue)
    }

    /// The number that rules send packets to.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// The next packet that came in, without waiting; `None` when there is none now.
    ///
    /// # Errors
    /// The socket failed. That the kernel ran out of buffer is no error: it counts what it dropped.
    pub(crate) fn next(&self, buffer: &mut PacketBuffer) -> io::Result<Option<PacketId>> {
        loop {
            match recv(
                self.socket.as_raw_fd(),
                &mut buffer.0,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(length) => {
                    // The kernel sends one message per packet.
                    if let Some(Answer::Packet(id)) = answers(&buffer.0[..length]).next() {
                        return Ok(Some(PacketId(id)));
                    }
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets all packets pass up to `last`.
    ///
    /// # Errors
    /// The socket failed.
    pub(crate) fn release(&self, last: PacketId) -> io::Result<()> {
        let verdict = Message::accept_up_to(self.number, last.0);
        self.send(&verdict)
    }

    fn bind_first_free(&self) -> io::Result<u16> {
        for number in NUMBERS {
            match self.request(&Message::command(number, libc::NFQNL_CFG_CMD_BIND)) {
                Err(error) if taken(&error) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(number),
            }
        }
        let message = format!(
            "all packet queues from {} to {} are taken",
            NUMBERS.start,
            NUMBERS.end - 1
        );
        Err(io::Error::new(io::ErrorKind::AddrInUse, message))
    }

    /// Sends a request and waits until the kernel has done it.
    fn request(&self, message: &Message) -> io::Result<()> {
        self.send(message)?;
        let mut buffer = [0; LONGEST_MESSAGE];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for answer in answers(&buffer[..length]) {
                match answer {
                    Answer::Done(0) => return Ok(()),
                    Answer::Done(code) => return Err(io::Error::from_raw_os_error(code)),
                    Answer::Packet(_) | Answer::Other => {}
                }
            }
        }
    }

    fn send(&self, message: &Message) -> io::Result<()> {
        send(self.socket.as_raw_fd(), message.bytes(), MsgFlags::empty())?;
        Ok(())
    }
}

/// Somebody else may hold the queue: which error says so differs between kernels, and on some it is the one that also
/// says that the privilege is missing. The caller gives up after trying all queues.
fn taken(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBUSY | libc::EEXIST | libc::EPERM)
    )
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where messages are read into.
pub(crate) struct PacketBuffer([u8; LONGEST_MESSAGE]);

impl PacketBuffer {
    /// An empty one.
    pub(crate) fn new() -> PacketBuffer {
        PacketBuffer([0; LONGEST_MESSAGE])
    }
}
