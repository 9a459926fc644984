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
    builder.extend(&group.finish(ClientId(1), 0, number), 1);
    builder.finish()
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

    /// The commands in the order in which a replica executes them that learns of everything in some order.
    fn execute(&self, rng: &mut Rng, elimination: Elimination) -> Vec<u64> {
        let members = [0, 1, 2].map(ReplicaId);
        let mut core = Acceptor::new(members[2], &members, false);
        let mut news: Vec<_> = (0..2 * self.entries.len()).collect();
        let (mut order, mut done) = (Vec::new(), BTreeSet::new());
        while !news.is_empty() {
            let chosen = rng.below(0..news.len() as u64) as usize;
            let number = news.swap_remove(chosen);
            let (role, index, value, commit) = self.entries[number / 2].clone();
            if number % 2 == 0 {
                let view = core.standing(role.other()).current;
                let _decided_already = core.fast_accept(role, index, value, Index::ZERO, view);
            } else {
                core.commit(role, index, commit);
            }
            execute(&mut core, &mut order, &mut done, elimination);
        }
        order
    }
}

fn execute(
    core: &mut Acceptor,
    order: &mut Vec<u64>,
    done: &mut BTreeSet<u64>,
    elimination: Elimination,
) {
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

/// Seeds in which two replicas execute differently, of some thousands.
fn disagreements(elimination: Elimination) -> usize {
    let differ = |seed: &u64| {
        let mut rng = Rng::new(*seed);
        let logs = Logs::random(&mut rng);
        let first = logs.execute(&mut rng, elimination);
        (0..8).any(|_| logs.execute(&mut rng, elimination) != first)
    };
    (0..20_000).filter(differ).count()
}

#[test]
fn replicas_execute_alike_in_whatever_order_they_learn() {
    assert_eq!(disagreements(Elimination::Permits), 0);
}

#[test]
fn taking_eliminated_entries_for_executed_is_caught() {
    assert!(disagreements(Elimination::Advances) > 0);
}
