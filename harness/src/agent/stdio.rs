use nix::libc;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A pipe or socket of this process that is read or written without threads.
///
/// Standard input may be either: the local provider gives pipes, a remote login may give sockets.
pub(super) struct Channel(AsyncFd<File>);

impl Channel {
    /// Takes over an open descriptor. Must be called within a runtime.
    ///
    /// # Errors
    /// When it is neither a pipe nor a socket nor a terminal, which alone can be waited for.
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Channel> {
        let flags = OFlag::from_bits_retain(fcntl(descriptor.as_fd(), FcntlArg::F_GETFL)?);
        fcntl(
            descriptor.as_fd(),
            FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK),
        )?;
        // SAFETY: a `File` gives the same open descriptor for as long as it lives.
        Ok(Channel(unsafe {
            AsyncFd::register(File::from(descriptor))
        }?))
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let unfilled = buffer.initialize_unfilled();
            if let Ok(result) = guard.try_io(|inner| inner.get_ref().read(unfilled)) {
                return Poll::Ready(result.map(|n| buffer.advance(n)));
            }
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            if let Ok(result) = guard.try_io(|inner| inner.get_ref().write(data)) {
                return Poll::Ready(result);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The two ends of the conversation with the controller.
pub(super) struct Ends {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
}

/// Takes standard input and output for the protocol and leaves `/dev/null` in their places, so that nothing else in
/// this process, and nothing it starts, can read or write in the middle of a frame.
///
/// # Errors
/// When descriptors cannot be duplicated.
pub(super) fn take() -> io::Result<Ends> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    redirect(&null, 0)?;
    redirect(&null, 1)?;
    Ok(Ends { input, output })
}

/// Lets descriptor `number` of this process stand for `file`.
///
/// # Errors
/// When it cannot be duplicated.
pub(super) fn redirect(file: &File, number: i32) -> io::Result<()> {
    // SAFETY: both are plain descriptor numbers; whoever uses `number` in this process wants the new meaning.
    match unsafe { libc::dup2(file.as_raw_fd(), number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
