//! Client connections over TCP.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::stream::{Listener, ListenerBackend, Stream, StreamBackend};

/// Room that a read makes when the caller has left none.
const READ_ROOM: usize = 4096;

pub(super) async fn listen(address: String) -> io::Result<Listener> {
    Ok(Listener(Box::new(RealListener(
        TcpListener::bind(address).await?,
    ))))
}

struct RealListener(TcpListener);

impl ListenerBackend for RealListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let (stream, _) = ready!(self.0.poll_accept(cx))?;
        stream.set_nodelay(true)?;
        Poll::Ready(Ok(Stream(Rc::new(RealStream(RefCell::new(stream))))))
    }

    fn address(&self) -> String {
        self.0
            .local_addr()
            .map(|address| address.to_string())
            .unwrap_or_default()
    }
}

struct RealStream(RefCell<TcpStream>);

impl StreamBackend for RealStream {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        if into.capacity() == into.len() {
            into.reserve(READ_ROOM);
        }
        let before = into.len();
        let spare = into.spare_capacity_mut();
        let mut buffer = ReadBuf::uninit(spare);
        ready!(Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        // SAFETY: `poll_read` has initialised exactly the filled bytes, which directly follow the old content.
        unsafe { into.advance_mut(count) };
        debug_assert_eq!(into.len(), before + count);
        Poll::Ready(Ok(count))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow().try_write(bytes)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow().poll_write_ready(cx)
    }

    fn close(&self) {
        use std::os::fd::AsRawFd;
        // An error says that the connection is already gone.
        let _gone = nix::sys::socket::shutdown(
            self.0.borrow().as_raw_fd(),
            nix::sys::socket::Shutdown::Both,
        );
    }
}
