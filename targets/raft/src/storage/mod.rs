//! Batches of entries, the log in memory, the log file.

mod batch;
mod log;
mod record;
mod recovery;
mod wal;

pub use batch::{Batch, BatchBuilder};
pub use log::{Log, Stretch};
pub use record::{HardState, Record};
pub use recovery::Recovered;
pub use wal::{Extent, Lsn, Piece, Wal};
