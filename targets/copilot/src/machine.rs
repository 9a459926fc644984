//! The state machine: the store, and which commands it has executed.

use bytes::BytesMut;
use kv::Store;

use crate::batch::{Batch, ClientId, Command, Group};
use crate::seen::Seen;

/// Stands for the clients with sessions: their commands carry stamps, by which the store knows them.
pub const STAMPED: ClientId = ClientId(0);

/// A key-value store that executes every command once.
#[derive(Debug, Default)]
pub struct Machine {
    /// The data, and the commands of sessions.
    pub store: Store,
    /// The commands of plain clients.
    pub seen: Seen,
    /// How many commands were executed.
    pub applied: u64,
    /// Stands for the commands executed and their order: replicas that have executed equally many have the same.
    pub digest: u64,
}

impl Machine {
    /// Whether executing a group would change nothing.
    pub fn is_group_executed(&self, group: &Group<'_>) -> bool {
        if group.client == STAMPED {
            let mut commands = group.commands().into_iter().flatten();
            commands.all(|command| self.has_stamp_of(&command))
        } else {
            self.seen.is_group_executed(group)
        }
    }

    /// Whether executing a batch would change nothing.
    pub fn is_batch_executed(&self, batch: &Batch) -> bool {
        batch.groups().all(|group| self.is_group_executed(&group))
    }

    fn has_stamp_of(&self, command: &Command<'_>) -> bool {
        kv::Command::decode(command.op)
            .and_then(|command| command.stamp)
            .is_some_and(|stamp| self.store.has_executed(stamp))
    }

    /// Executes what is new of a batch. `executed` gets each command and its result, right when it is executed; of
    /// sessions also those that were executed before.
    ///
    /// An empty command changes nothing: it marks a point in the order, at which its sender reads.
    pub fn execute(&mut self, batch: &Batch, mut executed: impl FnMut(&Store, Command<'_>, &[u8])) {
        let mut result = BytesMut::new();
        for group in batch.groups() {
            let is_stamped = group.client == STAMPED;
            if !is_stamped && self.seen.is_group_executed(&group) {
                continue;
            }
            for command in group.commands().into_iter().flatten() {
                let is_known = if is_stamped {
                    self.has_stamp_of(&command)
                } else {
                    self.seen.is_executed(command.client, command.seq)
                };
                if is_known && !is_stamped {
                    continue;
                }
                result.clear();
                if !command.op.is_empty() {
                    self.store.apply(command.op, &mut result);
                }
                if !is_stamped {
                    self.seen.note(&command);
                }
                if !is_known {
                    self.count(&command);
                }
                executed(&self.store, command, &result);
            }
        }
    }

    fn count(&mut self, command: &Command<'_>) {
        self.applied += 1;
        let op = command.op.iter().rev().take(8);
        let op = op.fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let mixed = self.digest.rotate_left(5) ^ command.client.0 ^ command.seq ^ op;
        self.digest = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
