//! Snapshots of the state machine, and the log that needs not go back further.

use std::io;

use kv::Store;
use kv::store::Restoring;

use crate::storage::Snapshots;

/// The store as the current snapshot has it, or an empty one.
pub(crate) async fn restore(snapshots: &Snapshots) -> io::Result<Store> {
    let Some(reader) = snapshots.reader() else {
        return Ok(Store::default());
    };
    let (mut restoring, mut place) = (Restoring::default(), reader.first());
    while let Some(chunk) = reader.chunk_at(place).await? {
        restoring.take(&chunk.bytes).map_err(bad)?;
        place = chunk.next;
    }
    restoring.finish().map_err(bad)
}

fn bad(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
