//! Snapshots of the state machine, and the log that needs not go back further.
//!
//! When the log has grown by a given size since the last snapshot, and by as much as that is large, the store is written down chunk by chunk while it goes
//! on changing, and the log is cut. It is cut at the snapshot *before*, so that a follower that lags a little still gets
//! entries instead of the whole store. When the disk is full it is cut as far as possible.

use std::io;
use std::time::Duration;

use kv::Store;
use kv::store::Restoring;

use crate::membership;
use crate::pace::Pace;
use crate::replica::Raft;
use crate::storage::{SnapshotMeta, Snapshots, Space, is_full};
use crate::types::LogIndex;

/// Bytes a second at which snapshots are written and sent, so that the log keeps most of disk and network.
pub(crate) const RATE: u64 = 64 << 20;
/// How long a full disk is left alone.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);

impl Raft {
    pub(crate) async fn compact_forever(&self) {
        let mut before = self
            .snapshots
            .latest()
            .map_or(LogIndex::ZERO, |meta| meta.index);
        let mut written = 0;
        loop {
            self.wal
                .durable()
                .wait("log to compact", |_| {
                    self.wal.durable_bytes() - written >= self.enough_for_a_snapshot()
                        && self.state.borrow().applied > before
                })
                .await;
            let end = self.wal.durable_bytes();
            match self.take_snapshot().await {
                Ok(index) => {
                    self.forget_until(before);
                    (before, written) = (index, end);
                }
                Err(error) if is_full(&error) => {
                    self.env.timeout("full disk", FULL_DISK_PAUSE).await;
                }
                Err(error) => return self.wal.fail(error),
            }
        }
    }

    /// How much the log must have grown: at least as much as the snapshot before is large, so that a large store is not
    /// written down all the time.
    fn enough_for_a_snapshot(&self) -> u64 {
        self.snapshot_bytes.max(self.snapshots.length())
    }

    /// Cuts the log as far as possible when it has filled the disk.
    pub(crate) async fn make_space_forever(&self) {
        loop {
            self.wal
                .space()
                .wait("a full disk", |space| *space == Space::Full)
                .await;
            let latest = self.snapshots.latest().map(|meta| meta.index);
            let applied = self.state.borrow().applied;
            if applied > latest.unwrap_or_default() {
                match self.take_snapshot().await {
                    Err(error) if !is_full(&error) => return self.wal.fail(error),
                    _ => {}
                }
            }
            self.forget_until(applied);
            self.env.timeout("full disk", FULL_DISK_PAUSE).await;
        }
    }

    /// Writes down what is applied now.
    async fn take_snapshot(&self) -> io::Result<LogIndex> {
        let (meta, chunks) = {
            let state = self.state.borrow();
            let index = state.applied;
            let meta = SnapshotMeta {
                index,
                term: state
                    .log
                    .term_at(index)
                    .expect("what is applied is in the log"),
                configuration: membership::to_bytes(state.membership.group_at(index)),
            };
            (meta, state.store.snapshot())
        };
        let index = meta.index;
        let mut writer = self.snapshots.begin(meta).await?;
        let mut pace = Pace::new(&self.env, RATE);
        for chunk in chunks {
            pace.spend(chunk.len()).await;
            writer.write(chunk).await?;
        }
        writer.finish().await?;
        Ok(index)
    }

    /// Cuts the log; a snapshot must cover what goes.
    fn forget_until(&self, index: LogIndex) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let covered = self
            .snapshots
            .latest()
            .map_or(LogIndex::ZERO, |meta| meta.index);
        self.wal.compact(&mut state.log, index.min(covered));
        state.membership.compact(covered);
    }
}

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
