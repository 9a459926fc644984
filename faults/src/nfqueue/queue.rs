use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

use super::wire::{Answer, Content, Message, answers};

/// The socket buffer asked for: a waiting notice takes under 1 KiB, and a full buffer loses packets.
const BUFFER: usize = 64 << 20;

/// Longer than any message about a packet, which is at most 64 KiB.
const LONGEST_MESSAGE: usize = 68 << 10;

/// The queues tried, so that several delays and other programs' queues can live side by side.
const NUMBERS: std::ops::Range<u16> = 29_000..29_256;

/// A packet that waits in the queue; ids grow, and wrap around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketId(u32);

/// A packet that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    /// What verdicts call it by.
    pub(crate) id: PacketId,
    /// Its length in bytes, 0 unless asked for.
    pub(crate) length: u32,
    /// What was copied of it.
    pub(crate) bytes: Vec<u8>,
}

/// Verdicts on single packets, gathered so that one call tells the kernel many.
pub(crate) struct Verdicts {
    queue: u16,
    messages: Vec<u8>,
}

impl Verdicts {
    /// None yet, on packets of queue `queue`.
    pub(crate) fn new(queue: u16) -> Verdicts {
        Verdicts {
            queue,
            messages: Vec::new(),
        }
    }

    /// It goes on.
    pub(crate) fn accept(&mut self, id: PacketId) {
        self.add(id, libc::NF_ACCEPT, None);
    }

    /// It vanishes.
    pub(crate) fn drop(&mut self, id: PacketId) {
        self.add(id, libc::NF_DROP, None);
    }

    /// It goes on, with this content instead of its own.
    pub(crate) fn replace(&mut self, id: PacketId, bytes: &[u8]) {
        self.add(id, libc::NF_ACCEPT, Some(bytes));
    }

    fn add(&mut self, id: PacketId, verdict: i32, bytes: Option<&[u8]>) {
        let message = Message::verdict(self.queue, id.0, verdict, bytes);
        self.messages.extend_from_slice(message.bytes());
    }
}

/// A packet queue of this network namespace, held until dropped; then its packets are gone, and new ones pass by
/// (rules say `--queue-bypass`).
pub(crate) struct Queue {
    socket: OwnedFd,
    number: u16,
}

impl Queue {
    /// Takes the first free queue, in which up to `length` packets may wait, and which tells so much of each.
    ///
    /// # Errors
    /// No privilege over the network namespace, or a kernel without packet queues.
    pub(crate) fn open(length: u32, content: Content) -> io::Result<Queue> {
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
        queue.request(&Message::parameters(queue.number, length, content))?;
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
    pub(crate) fn next(&self, buffer: &mut PacketBuffer) -> io::Result<Option<Packet>> {
        loop {
            match recv(
                self.socket.as_raw_fd(),
                &mut buffer.0,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(length) => {
                    // The kernel sends one message per packet.
                    let answer = answers(&buffer.0[..length]).next();
                    if let Some(Answer::Packet(id, length, bytes)) = answer {
                        let id = PacketId(id);
                        return Ok(Some(Packet { id, length, bytes }));
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
        self.send(verdict.bytes())
    }

    /// Carries out verdicts; there are none left afterwards.
    ///
    /// # Errors
    /// The socket failed.
    pub(crate) fn judge(&self, verdicts: &mut Verdicts) -> io::Result<()> {
        if verdicts.messages.is_empty() {
            return Ok(());
        }
        let sent = self.send(&verdicts.messages);
        verdicts.messages.clear();
        sent
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
        self.send(message.bytes())?;
        let mut buffer = vec![0; LONGEST_MESSAGE];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            for answer in answers(&buffer[..length]) {
                match answer {
                    Answer::Done(0) => return Ok(()),
                    Answer::Done(code) => return Err(io::Error::from_raw_os_error(code)),
                    Answer::Packet(..) | Answer::Other => {}
                }
            }
        }
    }

    fn send(&self, messages: &[u8]) -> io::Result<()> {
        send(self.socket.as_raw_fd(), messages, MsgFlags::empty())?;
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
pub(crate) struct PacketBuffer(Box<[u8]>);

impl PacketBuffer {
    /// An empty one.
    pub(crate) fn new() -> PacketBuffer {
        PacketBuffer(vec![0; LONGEST_MESSAGE].into())
    }
}
