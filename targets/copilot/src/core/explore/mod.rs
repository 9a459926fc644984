//! Every order of messages, in small: a few entries, a takeover or two, a restart.
//!
//! A message that is not delivered is lost or late, so every prefix of deliveries is explored; what a proposer concludes
//! may rest on any majority of the answers given so far. States are told apart by their hash.

mod accept;
mod fate;
mod propose;
mod recover;
mod symmetry;
mod tests;

use std::collections::BTreeSet;

use bytes::BufMut;

use super::*;
use crate::batch::{Batch, BatchBuilder, ClientId, GroupBuilder};
use propose::Drive;
use recover::Recovery;
use symmetry::Symmetry;

/// How much is explored.
#[derive(Clone, Copy, Debug)]
struct Scope {
    members: u32,
    /// Entries that each pilot proposes.
    entries: Both2,
    takeovers: usize,
    restarts: usize,
    /// Replicas that hear of decisions.
    learners: usize,
    /// States after which the search gives up.
    limit: usize,
}

/// Pilot's and copilot's.
type Both2 = [u64; 2];

/// What may be wrong on purpose.
#[derive(Clone, Copy)]
struct Rules {
    choose: fn(Quorums, &[(ReplicaId, Report)]) -> Choice,
    final_dependency: fn(Quorums, &[Index]) -> Option<Index>,
    /// Accepting overwrites the vote's dependency.
    overwrites_vote: bool,
    /// A restart forgets decisions of the fast path.
    forgets_mark: bool,
}

impl Rules {
    const RIGHT: Self = Self {
        choose,
        final_dependency,
        overwrites_vote: false,
        forgets_mark: false,
    };
}

type Place = (Role, Index);

#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    replicas: Vec<Acceptor>,
    drives: Vec<Drive>,
    recoveries: Vec<Recovery>,
    chosen: Vec<(Place, Choice)>,
    proposed: [u64; 2],
    takeovers: usize,
    restarts: usize,
    learners: usize,
}

/// Walks through all states; the first violation, or how many states there are.
fn explore(scope: Scope, rules: Rules) -> Result<usize, String> {
    let members: Vec<_> = (0..scope.members).map(ReplicaId).collect();
    let start = World {
        replicas: members
            .iter()
            .map(|me| Acceptor::new(*me, &members, false))
            .collect(),
        drives: Vec::new(),
        recoveries: Vec::new(),
        chosen: Vec::new(),
        proposed: [0; 2],
        takeovers: 0,
        restarts: 0,
        learners: 0,
    };
    let symmetry = Symmetry::of(&scope);
    let mut seen = BTreeSet::from([symmetry.fingerprint(&start)]);
    let mut stack = vec![start];
    let mut next = Vec::new();
    while let Some(world) = stack.pop() {
        world.check()?;
        world.steps(&scope, &rules, &mut next);
        for world in next.drain(..) {
            if seen.insert(symmetry.fingerprint(&world)) {
                stack.push(world);
            }
        }
        if seen.len() > scope.limit {
            return Err(format!("more than {} states", scope.limit));
        }
    }
    Ok(seen.len())
}

fn batch(role: Role, number: u64) -> Batch {
    let mut group = GroupBuilder::default();
    group.push(|op| op.put_u64(number));
    let mut builder = BatchBuilder::default();
    builder.extend(&group.finish(ClientId(role as u64), 0, number), 1);
    builder.finish()
}

impl World {
    fn at(&mut self, id: ReplicaId) -> &mut Acceptor {
        &mut self.replicas[id.0 as usize]
    }

    /// I1 and I3.
    fn check(&self) -> Result<(), String> {
        for (position, (place, choice)) in self.chosen.iter().enumerate() {
            for (other, again) in &self.chosen[position + 1..] {
                if place == other && !choice.is_same(again) {
                    return Err(format!("{place:?}: both {choice:?} and {again:?}"));
                }
                let (Some(_), Some(_)) = (&choice.value, &again.value) else {
                    continue;
                };
                if place.0 != other.0 && choice.dep < other.1 && again.dep < place.1 {
                    return Err(format!("pair: {place:?} {choice:?}, {other:?} {again:?}"));
                }
            }
        }
        Ok(())
    }

    fn steps(&self, scope: &Scope, rules: &Rules, out: &mut Vec<Self>) {
        for role in Role::BOTH {
            if self.proposed[role as usize] < scope.entries[role as usize] {
                self.propose(role, out);
            }
        }
        for position in 0..self.drives.len() {
            self.drive(position, rules, out);
        }
        for position in 0..self.recoveries.len() {
            self.recover(position, rules, out);
        }
        if self.takeovers < scope.takeovers {
            self.take_over(out);
        }
        if self.restarts < scope.restarts {
            self.restart(rules, out);
        }
        if self.learners < scope.learners {
            self.learn(out);
        }
    }
}
