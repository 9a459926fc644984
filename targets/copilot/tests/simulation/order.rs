//! The order of execution, from decisions alone: how replicas find it step by step does not matter here.

use std::collections::{BTreeMap, BTreeSet};

use depfast_copilot::batch::{BatchBuilder, ClientId, Command};
use depfast_copilot::core::{Both, Choice, Index, Role};
use depfast_copilot::machine::{Machine, STAMPED};
use kv::{Op, SessionId};

pub(crate) type Decisions = Both<BTreeMap<Index, Choice>>;

/// What tells a command from all others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Plain(ClientId, u64),
    Session(SessionId, u64),
}

/// Commands in the order in which they take effect.
pub(crate) struct Order {
    named: BTreeSet<Name>,
    machine: Machine,
    /// What a replica's digest is, by the number of commands that it has executed.
    digests: Vec<u64>,
    /// Up to where each log is known from its beginning.
    known: Both<Index>,
}

impl Order {
    /// The pilot's entry `i` comes before the copilot's `k` exactly if `i <= D(k)`, the greatest dependency of the copilot's
    /// entries up to `k`.
    ///
    /// All that was `executed` is in the order, as far as its decisions are known.
    pub(crate) fn of(decisions: &Decisions, executed: &Both<Index>) -> Result<Self, String> {
        let logs = Both::new(|role| from_beginning(&decisions[role]));
        let mut order = Self {
            named: BTreeSet::new(),
            machine: Machine::default(),
            digests: vec![Machine::default().digest],
            known: Both::new(|role| Index(logs[role].len() as u64)),
        };
        let mut pilots = logs[Role::Pilot].iter();
        let mut reach = Index::ZERO;
        for choice in &logs[Role::Copilot] {
            for _ in reach.until(choice.dep) {
                let Some(entry) = pilots.next() else {
                    return Ok(order);
                };
                order.execute(entry)?;
            }
            reach = reach.max(choice.dep);
            order.execute(choice)?;
        }
        if order.known[Role::Copilot] >= executed[Role::Copilot] {
            // Whatever of these was executed anywhere comes before the copilot's next entry.
            for entry in pilots {
                order.execute(entry)?;
            }
        }
        Ok(order)
    }

    fn execute(&mut self, choice: &Choice) -> Result<(), String> {
        let Some(value) = &choice.value else {
            return Ok(());
        };
        for command in value.batch.commands() {
            if name(&command).is_some_and(|name| !self.named.insert(name)) {
                continue;
            }
            let mut alone = BatchBuilder::default();
            alone.push(command);
            self.machine.execute(&alone.take(usize::MAX), |_, _, _| {});
            if self.machine.applied != self.digests.len() as u64 {
                return Err(format!("order: {command:?} counts as executed before"));
            }
            self.digests.push(self.machine.digest);
        }
        Ok(())
    }

    /// I5: every digest that a replica ever had is that of a beginning of this order, if all that was `executed` is known.
    /// Returns how many were compared.
    pub(crate) fn check(
        &self,
        digests: &BTreeMap<u64, u64>,
        executed: &Both<Index>,
    ) -> Result<u64, String> {
        let is_whole = Role::BOTH
            .into_iter()
            .all(|role| executed[role] <= self.known[role]);
        let mut compared = 0;
        for (count, digest) in digests {
            let right = usize::try_from(*count).ok();
            match right.and_then(|count| self.digests.get(count)) {
                Some(right) if right == digest => compared += 1,
                None if !is_whole => {}
                _ => {
                    return Err(format!(
                        "order: not what was executed as the first {count} commands"
                    ));
                }
            }
        }
        Ok(compared)
    }
}

/// The decisions before the first one that nobody was seen to know.
fn from_beginning(decisions: &BTreeMap<Index, Choice>) -> Vec<&Choice> {
    let mut next = Index::ZERO;
    let known = decisions.iter().take_while(|(index, _)| {
        next = next.next();
        **index == next
    });
    known.map(|(_, choice)| choice).collect()
}

/// Opening a session has no name: it takes effect, that is, is answered, each time.
fn name(command: &Command<'_>) -> Option<Name> {
    if command.client != STAMPED {
        return Some(Name::Plain(command.client, command.seq));
    }
    let stamped = kv::Command::decode(command.op)?;
    let stamp = stamped.stamp?;
    let opens = matches!(stamped.op, Op::Open { .. });
    (!opens).then_some(Name::Session(stamp.session, stamp.seq))
}
