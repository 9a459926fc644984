//! Which states are the same but for the names of replicas without a role.

use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;

use super::accept::Accepting;
use super::recover::Recovery;
use super::{Scope, World};
use crate::core::*;

/// The ways to name the replicas anew that change nothing.
///
/// Ballots of one round are ordered by who made them, so two takeovers tell any two replicas apart.
pub(super) struct Symmetry {
    scope: Scope,
    /// The new names, by the old ones.
    names: Vec<Vec<ReplicaId>>,
}

impl Symmetry {
    pub(super) fn of(scope: &Scope) -> Self {
        let pilots = [0, 1].map(ReplicaId);
        let followers: Vec<_> = (2..scope.members).map(ReplicaId).collect();
        let orders = if scope.takeovers <= 1 {
            permutations(&followers)
        } else {
            vec![followers]
        };
        let names = orders
            .into_iter()
            .map(|order| pilots.into_iter().chain(order).collect())
            .collect();
        Self {
            scope: *scope,
            names,
        }
    }

    /// The same for states that differ in names only, or in nothing that can still matter.
    pub(super) fn fingerprint(&self, world: &World) -> u64 {
        let fingerprint = |names: &Vec<ReplicaId>| {
            let mut hasher = DefaultHasher::new();
            world
                .renamed(names)
                .hash_what_matters(&self.scope, &mut hasher);
            hasher.finish()
        };
        let least = self.names.iter().map(fingerprint).min();
        least.expect("there is one way at least")
    }
}

fn permutations(of: &[ReplicaId]) -> Vec<Vec<ReplicaId>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let begin_with = |first: &ReplicaId| {
        let rest: Vec<_> = of.iter().copied().filter(|id| id != first).collect();
        let first = *first;
        permutations(&rest)
            .into_iter()
            .map(move |rest| std::iter::once(first).chain(rest).collect())
    };
    of.iter().flat_map(begin_with).collect()
}

type Names = [ReplicaId];

fn name(id: ReplicaId, names: &Names) -> ReplicaId {
    names[id.0 as usize]
}

impl World {
    /// The same state with other names, its parts in an order that does not tell which came first.
    fn renamed(&self, names: &Names) -> Self {
        let mut world = self.clone();
        for replica in &mut world.replicas {
            Rc::make_mut(replica).rename(names);
        }
        world.replicas.sort_unstable_by_key(|replica| replica.me());
        for drive in &mut world.drives {
            rename_all(drive.answers.iter_mut().map(|(id, _)| id), names);
            drive.answers.sort_unstable();
        }
        for recovery in &mut world.recoveries {
            rename_ballot(&mut recovery.ballot, names);
            if let Some((ballot, _)) = &mut recovery.own.accepted {
                rename_ballot(ballot, names);
            }
        }
        let key = |recovery: &Recovery| (recovery.place, recovery.ballot);
        world.recoveries.sort_by_key(key);
        for accepting in &mut world.accepting {
            rename_ballot(&mut accepting.ballot, names);
            rename_all(&mut accepting.accepted, names);
            accepting.accepted.sort_unstable();
        }
        let key = |accepting: &Accepting| (accepting.place, accepting.ballot);
        world.accepting.sort_by_key(key);
        world
    }
}

impl Acceptor {
    fn rename(&mut self, names: &Names) {
        self.me = name(self.me, names);
        for role in Role::BOTH {
            let log = &mut self.logs[role];
            for index in log.base().until(log.last()) {
                let Some(entry) = log.get_or_make(index) else {
                    continue;
                };
                if let Some(ballot) = &mut entry.promised {
                    rename_ballot(ballot, names);
                }
                if let Some((ballot, _)) = &mut entry.accepted {
                    rename_ballot(ballot, names);
                }
            }
        }
    }
}

fn rename_all<'a>(ids: impl IntoIterator<Item = &'a mut ReplicaId>, names: &Names) {
    for id in ids {
        *id = name(*id, names);
    }
}

fn rename_ballot(ballot: &mut Ballot, names: &Names) {
    ballot.proposer = name(ballot.proposer, names);
}
