//! The state machine: the store, and which commands it has executed.

use bytes::{Bytes, BytesMut};
use kv::Store;

use crate::batch::{Batch, ClientId, Command};
use crate::session::Sessions;

/// Set in the ids of replicas that send on what plain clients ask: they never ask for a result twice.
pub const PROXY: u64 = 1 << 63;

/// A key-value store that executes every command once.
#[derive(Debug, Default)]
pub struct Machine {
    /// The data.
    pub store: Store,
    /// What was executed.
    pub sessions: Sessions,
    /// How many commands were executed.
    pub applied: u64,
    /// Stands for the commands executed and their order: replicas that have executed equally many have the same.
    pub digest: u64,
}

impl Machine {
    /// Executes what is new of a batch. `executed` gets each new command and its result, right when it is executed.
    ///
    /// An empty command changes nothing: it marks a point in the order, at which its sender reads.
    pub fn execute(&mut self, batch: &Batch, mut executed: impl FnMut(&Store, Command<'_>, &[u8])) {
        let mut result = BytesMut::new();
        for group in batch.groups() {
            if self.sessions.is_group_executed(&group) {
                continue;
            }
            for command in group.commands().into_iter().flatten() {
                if self.sessions.is_executed(command.client, command.seq) {
                    continue;
                }
                result.clear();
                if !command.op.is_empty() {
                    self.store.apply(command.op, &mut result);
                }
                let kept = remembers(command.client).then(|| Bytes::copy_from_slice(&result));
                self.sessions.execute(&command, kept);
                self.applied += 1;
                let mixed = self.digest.rotate_left(5) ^ command.client.0 ^ command.seq;
                self.digest = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                executed(&self.store, command, &result);
            }
        }
    }
}

/// Whether results are kept for a client.
const fn remembers(client: ClientId) -> bool {
    client.0 & PROXY == 0
}
