//! Batches of entries, the log in memory, the log file, snapshots.
//!
//! ```text
//!  Snapshots ── begin → SnapshotWriter: write, write, …, finish ──→ latest(), reader() → SnapshotReader: chunk_at
//!  Wal       ── append, note → durable();  compact(log, index) once a snapshot covers it;  install(log, snapshot)
//! ```
//!
//! A snapshot must be finished before the log is [compacted](Wal::compact) up to it, and before a received one is
//! [installed](Wal::install).

mod batch;
mod damage;
mod log;
mod record;
mod recovered;
mod snapshot;
mod wal;

use std::io;

pub use batch::{Batch, BatchBuilder};
pub use damage::{Damage, What};
pub use log::{Log, Stretch};
pub use record::{HardState, LogStart, Record};
pub use recovered::Recovered;
pub use snapshot::{Chunk, SnapshotMeta, SnapshotReader, SnapshotWriter, Snapshots};
pub use wal::{Extent, Lsn, Options, Piece, SEGMENT_BYTES, Space, Wal};

/// Whether an error says that the disk is full, and nothing else: what was there is intact, and the replica can go on.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
