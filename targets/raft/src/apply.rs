//! What becomes of committed entries.

use std::io;

use kv::Role;

use crate::replica::Raft;
use crate::storage::{Batch, Stretch};
use crate::types::LogIndex;

/// How many bytes of entries are applied before others get their turn.
const APPLY_BYTES: usize = 256 << 10;

impl Raft {
    /// A leader applies what it commits itself, with the clients' answers; here is everybody else's part.
    pub(crate) async fn apply_forever(&self) {
        loop {
            self.committed
                .wait("committed entries", |()| {
                    let state = self.state.borrow();
                    state.applied < state.commit && state.role() != Role::Leader
                })
                .await;
            let commit = self.state.borrow().commit;
            if let Err(error) = self.apply_until(commit).await {
                self.wal.fail(error);
                return;
            }
        }
    }

    /// Applies committed entries whose clients, if any, wait elsewhere.
    pub(crate) async fn apply_until(&self, until: LogIndex) -> io::Result<()> {
        loop {
            let (applied, installed) = {
                let state = self.state.borrow();
                (state.applied, state.installed)
            };
            if applied >= until {
                return Ok(());
            }
            let batches = self.fetch(applied.next(), APPLY_BYTES).await;
            {
                let mut state = self.state.borrow_mut();
                // A snapshot may have come meanwhile, and another log with it.
                if state.installed == installed {
                    for batch in &batches? {
                        state.apply_unasked(batch);
                    }
                }
            }
            self.env.yield_now().await;
        }
    }

    /// What follows in the log from `index` on, from memory or from the log file.
    async fn fetch(&self, index: LogIndex, bytes: usize) -> io::Result<Vec<Batch>> {
        let stretch = self.state.borrow().log.since(index, bytes);
        match stretch {
            Stretch::Here(batches) => Ok(batches),
            Stretch::OnDisk(extent) => self.wal.read(&extent).await,
            Stretch::Compacted => Err(io::Error::other("what is to be applied was compacted")),
        }
    }
}
