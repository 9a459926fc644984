use std::io::{self, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};
use vocab::time::Monotonic;

use super::poller::Poller;

/// A connection to a server, being one, or not being one.
#[derive(Debug)]
pub(crate) enum Link {
    /// To be tried at that moment.
    Down {
        retry_at: Monotonic,
    },
    /// Under way, until that moment at the latest.
    Connecting {
        socket: TcpStream,
        until: Monotonic,
    },
    Up {
        socket: TcpStream,
    },
}

impl Link {
    /// Starts to connect.
    pub(crate) fn start(
        server: SocketAddr,
        until: Monotonic,
        poller: &Poller,
        name: usize,
    ) -> io::Result<Link> {
        let family = match server {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let descriptor = socket(family, SockType::Stream, flags, None)?;
        let socket = TcpStream::from(descriptor);
        socket.set_nodelay(true)?;
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(server)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        poller.watch(&socket, name)?;
        Ok(Link::Connecting { socket, until })
    }

    /// Finds out what became of a connection under way, when its socket has news or its time is over.
    ///
    /// # Errors
    /// Why there is no connection; it is to be given up.
    pub(crate) fn settle(&mut self, now: Monotonic) -> io::Result<()> {
        let Link::Connecting { socket, until } = self else {
            return Ok(());
        };
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        if socket.peer_addr().is_err() {
            return if now >= *until {
                Err(io::ErrorKind::TimedOut.into())
            } else {
                Ok(())
            };
        }
        if let Link::Connecting { socket, .. } = mem::replace(self, Link::Down { retry_at: now }) {
            *self = Link::Up { socket };
        }
        Ok(())
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(self, Link::Up { .. })
    }

    /// Reads what has arrived; nothing if nothing has.
    pub(crate) fn read<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let Link::Up { socket } = self else {
            return Ok(&[]);
        };
        match socket.read(buffer) {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed by the server",
            )),
            Ok(count) => Ok(&buffer[..count]),
            Err(error) if is_transient(&error) => Ok(&[]),
            Err(error) => Err(error),
        }
    }

    /// Writes as much as fits now; gives how much that was.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Link::Up { socket } = self else {
            return Ok(0);
        };
        match socket.write(bytes) {
            Err(error) if is_transient(&error) => Ok(0),
            result => result,
        }
    }
}

/// How long to wait for a connection.
pub(crate) fn patience(timeout: Duration) -> Duration {
    timeout.clamp(Duration::from_millis(100), Duration::from_secs(3))
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
