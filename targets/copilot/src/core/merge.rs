//! Two replicas that learn of the same decisions in different orders execute the same commands in the same order.

use std::collections::BTreeSet;

use bytes::BufMut;
use depfast::Rng;

use super::*;
use crate::batch::{Batch, BatchBuilder, ClientId, GroupBuilder};

/// What the executor does with entries that an entry need not wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elimination {
    /// They keep their place and are executed later.
    Permits,
    /// They are taken for executed: a flaw.
    Advances,
}

/// Decided logs: what was proposed, and what became of it.
struct Logs {
    entries: Vec<(Role, Index, Value, Commit)>,
}

fn batch(number: u64) -> Batch {
    let mut group = GroupBuilder::default();
    group.push(|op| op.put_u64(number));
    let mut builder = BatchBuilder::default();
    builder.extend(&group.finish(ClientId(1), 0, number));
    builder.take(usize::MAX)
}

impl Logs {
    /// Logs in which every command stands in one log or in both, with dependencies of which one of any two covers the
    /// other's entry.
    fn random(rng: &mut Rng) -> Self {
        let mut below = |end: u64| rng.below(0..end);
        let lengths = [1 + below(6), 1 + below(6)];
        let length = |role: Role| lengths[role as usize];
        let view = |role: Role| View {
            number: 0,
            pilot: ReplicaId(role as u32),
            start: Index(1),
        };
        let mut deps = Both::new(|role: Role| {
            let numbers = 0..length(role);
            numbers
                .map(|_| below(length(role.other()) + 1))
                .collect::<Vec<_>>()
        });
        for i in 1..=length(Role::Pilot) {
            for k in 1..=length(Role::Copilot) {
                let covered = deps[Role::Pilot][i as usize - 1] >= k;
                let dep = &mut deps[Role::Copilot][k as usize - 1];
                if !covered && *dep < i {
                    *dep = i;
                }
            }
        }
        let mut entries = Vec::new();
        for role in Role::BOTH {
            for index in 1..=length(role) {
                // Half of the commands stand in several places.
                let unique = 100 * (1 + role as u64) + index;
                let number = if below(2) == 0 { below(4) } else { unique };
                let value = Value {
                    origin: view(role),
                    batch: batch(number),
                };
                let choice = Choice {
                    value: (below(5) > 0).then(|| value.clone()),
                    dep: Index(deps[role][index as usize - 1]),
                };
                let commit = Commit {
                    choice: if choice.value.is_some() {
                        choice
                    } else {
                        Choice::NOOP
                    },
                    dep_seen: Some(view(role.other())),
                };
                entries.push((role, Index(index), value, commit));
            }
        }
        Self { entries }
    }

    /// Replicas that learn of everything, each in an order of its own, and now and then take over what another one has
    /// executed. Gives the commands in the order in which each executes them.
    fn execute(&self, rng: &mut Rng, elimination: Elimination, takeover: Takeover) -> Lives {
        let mut replicas: Vec<_> = (0..REPLICAS).map(|_| Life::new(self)).collect();
        let mut crossed = false;
        while replicas.iter().any(|replica| !replica.news.is_empty()) {
            let one = rng.below(0..REPLICAS) as usize;
            replicas[one].learn(self, rng, elimination);
            if takeover == Takeover::Never || rng.below(0..8) > 0 {
                continue;
            }
            let other = rng.below(0..REPLICAS) as usize;
            let theirs = replicas[other].clone();
            crossed |= replicas[one].take_over(&theirs, takeover);
        }
        Lives {
            orders: replicas.into_iter().map(|replica| replica.order).collect(),
            crossed,
        }
    }
}

const REPLICAS: u64 = 4;

/// How a replica takes over what another one has executed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takeover {
    Never,
    /// With the state of whoever made more changes.
    Rightly,
    /// With the other one's state, whatever it contains: a flaw.
    Blindly,
}

struct Lives {
    orders: Vec<Vec<u64>>,
    /// Whether there were two of which each was further in one log.
    crossed: bool,
}

/// What one replica knows and has done.
#[derive(Clone)]
struct Life {
    core: Acceptor,
    news: Vec<usize>,
    order: Vec<u64>,
    done: BTreeSet<u64>,
}

impl Life {
    fn new(logs: &Logs) -> Self {
        let members = [0, 1, 2].map(ReplicaId);
        Self {
            core: Acceptor::new(members[2], &members, false),
            news: (0..2 * logs.entries.len()).collect(),
            order: Vec::new(),
            done: BTreeSet::new(),
        }
    }

    fn learn(&mut self, logs: &Logs, rng: &mut Rng, elimination: Elimination) {
        if self.news.is_empty() {
            return;
        }
        let chosen = rng.below(0..self.news.len() as u64) as usize;
        let number = self.news.swap_remove(chosen);
        let (role, index, value, commit) = logs.entries[number / 2].clone();
        if number.is_multiple_of(2) {
            let view = self.core.standing(role.other()).current;
            let _decided_already = self.core.fast_accept(role, index, value, Index::ZERO, view);
        } else {
            self.core.commit(role, index, commit);
        }
        self.execute(elimination);
    }

    /// Whether each of the two was further in one log.
    fn take_over(&mut self, theirs: &Self, takeover: Takeover) -> bool {
        let executed = |life: &Self| Both::new(|role| life.core.log(role).executed());
        let (own, others) = (executed(self), executed(theirs));
        if !self.core.install(&others, theirs.core.reach()) {
            return false;
        }
        if takeover == Takeover::Blindly || theirs.order.len() > self.order.len() {
            self.order.clone_from(&theirs.order);
            self.done.clone_from(&theirs.done);
        }
        Role::BOTH.iter().any(|role| own[*role] > others[*role])
    }

    fn execute(&mut self, elimination: Elimination) {
        let Self {
            core, order, done, ..
        } = self;
        loop {
            let is_executed =
                |batch: &Batch| batch.commands().all(|command| done.contains(&command.seq));
            let Some((role, index)) = core.next_ready(is_executed) else {
                return;
            };
            let choice = core
                .decision(role, index)
                .expect("it is ready")
                .choice
                .clone();
            if elimination == Elimination::Advances && role == Role::Copilot {
                while core.log(Role::Pilot).executed() < choice.dep {
                    core.executed(Role::Pilot, core.log(Role::Pilot).executed().next());
                }
            }
            if elimination == Elimination::Advances && role == Role::Pilot {
                let next = core.log(Role::Copilot).executed().next();
                if core.decision(Role::Copilot, next).is_none() && next <= choice.dep {
                    core.executed(Role::Copilot, next);
                }
            }
            if let Some(value) = &choice.value {
                for command in value.batch.commands() {
                    if done.insert(command.seq) {
                        order.push(command.seq);
                    }
                }
            }
            core.executed(role, index);
        }
    }
}

/// Seeds in which two replicas execute differently, and in which two were ahead of each other, of some thousands.
fn disagreements(elimination: Elimination, takeover: Takeover) -> (usize, usize) {
    let (mut differ, mut crossed) = (0, 0);
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let logs = Logs::random(&mut rng);
        let lives = logs.execute(&mut rng, elimination, takeover);
        differ += usize::from(lives.orders.iter().any(|order| *order != lives.orders[0]));
        crossed += usize::from(lives.crossed);
    }
    (differ, crossed)
}

#[test]
fn replicas_execute_alike_in_whatever_order_they_learn() {
    assert_eq!(disagreements(Elimination::Permits, Takeover::Never).0, 0);
}

#[test]
fn taking_eliminated_entries_for_executed_is_caught() {
    assert!(disagreements(Elimination::Advances, Takeover::Never).0 > 0);
}

#[test]
fn replicas_that_are_ahead_of_each_other_agree() {
    let (differ, crossed) = disagreements(Elimination::Permits, Takeover::Rightly);
    assert_eq!(differ, 0);
    assert!(crossed > 100, "met in {crossed} seeds");
}

#[test]
fn taking_over_a_state_that_lacks_own_changes_is_caught() {
    assert!(disagreements(Elimination::Permits, Takeover::Blindly).0 > 0);
}
