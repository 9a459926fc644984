//! Asynchronous work on one thread, as everything here that talks to agents is.

use std::io;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::LocalSet;

/// The system has nothing left to wait with.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the runtime")]
pub struct NoRuntime(#[source] io::Error);

/// Does asynchronous work to its end on this thread.
///
/// # Errors
/// There are too few file descriptors.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, NoRuntime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    Ok(LocalSet::new().block_on(&runtime.map_err(NoRuntime)?, work))
}

/// Ctrl-C, a request to end, or the closing of the terminal: from now on they end nothing by themselves.
pub struct Stop([Signal; 3]);

impl Stop {
    /// Starts to listen. Must be called within [`block_on`].
    ///
    /// # Errors
    /// The system has no room for another signal handler.
    pub fn catch() -> io::Result<Stop> {
        Ok(Stop([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Resolves when one of them has come.
    pub async fn stopped(&mut self) {
        let Stop([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
