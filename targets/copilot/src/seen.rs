//! Which commands of plain clients were executed, so that none is executed twice.
//!
//! Every command normally comes through both logs, and more often when its sender repeats it. What is known depends only
//! on the commands that were executed and on their order, so it is the same on all replicas. (Commands of sessions are
//! known to the store by their stamps.)

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::batch::{ClientId, Command, Group};
use crate::wire::Wire;

/// How far apart the numbers of a sender's commands under way may be. What is further behind the latest one counts as
/// executed.
pub const WINDOW: u64 = 1 << 16;

/// The commands of one sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Sender {
    /// Everything below is executed.
    low: u64,
    executed: VecDeque<bool>,
}

/// The commands of all senders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen(BTreeMap<ClientId, Sender>);

impl Sender {
    fn is_executed(&self, seq: u64) -> bool {
        match seq.checked_sub(self.low).map(usize::try_from) {
            None => true,
            Some(Ok(place)) => self.executed.get(place).copied().unwrap_or(false),
            Some(Err(_)) => false,
        }
    }

    fn forget_below(&mut self, low: u64) {
        while self.low < low {
            if self.executed.pop_front().is_none() {
                self.low = low;
                return;
            }
            self.low += 1;
        }
    }

    fn note(&mut self, seq: u64) {
        let Some(place) = seq.checked_sub(self.low) else {
            return;
        };
        let place = usize::try_from(place).expect("the window is small");
        if self.executed.len() <= place {
            self.executed.resize(place + 1, false);
        }
        self.executed[place] = true;
    }
}

impl Seen {
    /// Whether a command was executed.
    pub fn is_executed(&self, client: ClientId, seq: u64) -> bool {
        let sender = self.0.get(&client);
        sender.is_some_and(|sender| sender.is_executed(seq))
    }

    /// Whether all commands of a group were executed.
    pub fn is_group_executed(&self, group: &Group<'_>) -> bool {
        let Some(sender) = self.0.get(&group.client) else {
            return group.count == 0;
        };
        let mut numbers = group.first..group.first.saturating_add(group.count.into());
        numbers.all(|seq| sender.is_executed(seq))
    }

    /// Notes that a command is executed.
    pub fn note(&mut self, command: &Command<'_>) {
        let sender = self.0.entry(command.client).or_default();
        let window = command.seq.saturating_sub(WINDOW - 1);
        sender.forget_below(command.acked.min(command.seq).max(window));
        sender.note(command.seq);
    }
}

impl Wire for Seen {
    fn put(&self, out: &mut BytesMut) {
        let senders: Vec<_> = self.0.iter().collect();
        (senders.len() as u64).put(out);
        for (client, sender) in senders {
            (client.0, sender.low).put(out);
            let executed: Vec<bool> = sender.executed.iter().copied().collect();
            executed.put(out);
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        let count = u64::take(from)?;
        let sender = |_| {
            let (client, low) = Wire::take(from)?;
            let executed = Vec::<bool>::take(from)?.into();
            Some((ClientId(client), Sender { low, executed }))
        };
        (0..count).map(sender).collect::<Option<_>>().map(Self)
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
        let mut seen = Seen::default();
        seen.note(&command(3, 0));
        assert!(seen.is_executed(CLIENT, 3) && !seen.is_executed(CLIENT, 2));
        seen.note(&command(2, 0));
        assert!(seen.is_executed(CLIENT, 2) && !seen.is_executed(CLIENT, 4));
        assert!(!seen.is_executed(ClientId(8), 3));
    }

    #[test]
    fn what_is_forgotten_is_not_executed_again() {
        let mut seen = Seen::default();
        for seq in 0..10 {
            seen.note(&command(seq, 0));
        }
        seen.note(&command(10, 8));
        assert!(seen.is_executed(CLIENT, 7));
        seen.note(&command(WINDOW + 100, 0));
        assert!(seen.is_executed(CLIENT, 99) && !seen.is_executed(CLIENT, 101));
        assert_eq!(Seen::decode(seen.encode()), Some(seen));
    }
}
