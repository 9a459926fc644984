//! Asynchronous work on one thread, as everything here that talks to agents is.

use std::io;

use tokio::runtime::Builder;
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
