//! Which commands were executed, so that none is executed twice.
//!
//! Every command normally comes through both logs, and more often when a client repeats it. What a table knows depends
//! only on the commands that were executed and on their order, so it is the same on all replicas.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::batch::{Batch, ClientId, Command, Group};

/// How far apart the numbers of a client's commands under way may be. What is further behind the latest one counts as
/// executed.
pub const WINDOW: u64 = 1 << 16;

/// What is remembered of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Slot {
    #[default]
    Open,
    Executed,
    /// Executed, and the client may ask for the result again.
    Answered(Bytes),
}

/// The commands of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Session {
    /// Everything below is executed, and the client will not ask for the results again.
    low: u64,
    slots: VecDeque<Slot>,
}

/// The commands of all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sessions(BTreeMap<ClientId, Session>);

impl Session {
    fn slot(&self, seq: u64) -> &Slot {
        match seq.checked_sub(self.low) {
            None => &Slot::Executed,
            Some(place) => usize::try_from(place)
                .ok()
                .and_then(|place| self.slots.get(place))
                .unwrap_or(&Slot::Open),
        }
    }

    fn forget_below(&mut self, low: u64) {
        while self.low < low {
            if self.slots.pop_front().is_none() {
                self.low = low;
                return;
            }
            self.low += 1;
        }
    }

    fn fill(&mut self, seq: u64, slot: Slot) {
        let Some(place) = seq.checked_sub(self.low) else {
            return;
        };
        let place = usize::try_from(place).expect("the window is small");
        while self.slots.len() <= place {
            self.slots.push_back(Slot::Open);
        }
        self.slots[place] = slot;
    }
}

impl Sessions {
    /// Whether a command was executed.
    pub fn is_executed(&self, client: ClientId, seq: u64) -> bool {
        self.0
            .get(&client)
            .is_some_and(|session| *session.slot(seq) != Slot::Open)
    }

    /// Whether all commands of a group were executed.
    pub fn is_group_executed(&self, group: &Group<'_>) -> bool {
        let Some(session) = self.0.get(&group.client) else {
            return group.count == 0;
        };
        (group.first..group.first.saturating_add(group.count.into()))
            .all(|seq| *session.slot(seq) != Slot::Open)
    }

    /// Whether all commands of a batch were executed.
    pub fn is_batch_executed(&self, batch: &Batch) -> bool {
        batch.groups().all(|group| self.is_group_executed(&group))
    }

    /// The result of a command that was executed, if it is still remembered.
    pub fn result(&self, client: ClientId, seq: u64) -> Option<&Bytes> {
        match self.0.get(&client)?.slot(seq) {
            Slot::Answered(result) => Some(result),
            Slot::Open | Slot::Executed => None,
        }
    }

    /// Notes that a command is being executed for the first time; `result` is kept if its client may ask again.
    pub fn execute(&mut self, command: &Command<'_>, result: Option<Bytes>) {
        let session = self.0.entry(command.client).or_default();
        let window = command.seq.saturating_sub(WINDOW - 1);
        session.forget_below(command.acked.min(command.seq).max(window));
        session.fill(command.seq, result.map_or(Slot::Executed, Slot::Answered));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ClientId = ClientId(7);

    fn command(seq: u64, acked: u64) -> Command<'static> {
        Command {
            client: CLIENT,
            seq,
            acked,
            op: b"",
        }
    }

    #[test]
    fn commands_may_come_in_any_order_but_each_once() {
        let mut sessions = Sessions::default();
        let result = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        sessions.execute(&command(3, 0), result("three"));
        assert!(sessions.is_executed(CLIENT, 3) && !sessions.is_executed(CLIENT, 2));
        sessions.execute(&command(2, 0), result("two"));
        assert_eq!(sessions.result(CLIENT, 3).unwrap(), "three");
        assert_eq!(sessions.result(CLIENT, 2).unwrap(), "two");
        assert!(!sessions.is_executed(ClientId(8), 3));
    }

    #[test]
    fn what_the_client_has_got_is_forgotten_but_not_executed_again() {
        let mut sessions = Sessions::default();
        for seq in 0..10 {
            sessions.execute(&command(seq, 0), Some(Bytes::new()));
        }
        sessions.execute(&command(10, 8), Some(Bytes::new()));
        assert!(sessions.is_executed(CLIENT, 7) && sessions.result(CLIENT, 7).is_none());
        assert!(sessions.result(CLIENT, 8).is_some());
        sessions.execute(&command(WINDOW + 100, 0), None);
        assert!(sessions.is_executed(CLIENT, 99) && !sessions.is_executed(CLIENT, 101));
    }
}
