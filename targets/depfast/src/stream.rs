//! Byte streams to clients.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::BytesMut;

/// Waits for clients of some environment.
pub(crate) trait ListenerBackend {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>>;
    fn address(&self) -> String;
}

/// A connection of some environment.
pub(crate) trait StreamBackend {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>>;
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn close(&self);
}

/// Accepts connections of clients.
pub struct Listener(pub(crate) Box<dyn ListenerBackend>);

impl Listener {
    /// The next client.
    ///
    /// # Errors
    ///
    /// Passes on what went wrong with that one connection, or with the listener.
    pub async fn accept(&self) -> io::Result<Stream> {
        poll_fn(|cx| self.0.poll_accept(cx)).await
    }

    /// The address it listens at.
    pub fn address(&self) -> String {
        self.0.address()
    }
}

/// A connection. Clones are handles to the same one; one coroutine may read while another waits to write.
#[derive(Clone)]
pub struct Stream(pub(crate) Rc<dyn StreamBackend>);

impl Stream {
    /// Appends what has arrived to `into`, waiting until there is something; zero says that the other side is done.
    ///
    /// At most the spare capacity of `into` is filled, or a few KiB if it has none.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn read(&self, into: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|cx| self.0.poll_read(cx, into)).await
    }

    /// Writes as much of `bytes` as fits without waiting.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if nothing fits now, anything else if the connection is broken.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    /// Suspends the coroutine until something can be written.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| self.0.poll_writable(cx)).await
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the connection in both directions; a reader gets the end of the stream.
    pub fn close(&self) {
        self.0.close();
    }
}
