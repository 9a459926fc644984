//! Which states are the same but for the names of replicas without a role.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::{Scope, Search, World, is_twice};
use crate::core::*;

/// Tells states apart that differ in more than in the names of followers.
///
/// A follower is known by what it knows, and by which attempts are its own. Attempts at an entry are ordered by who makes
/// them, so two takeovers of one entry tell any two replicas apart.
pub(super) struct Symmetry {
    scope: Scope,
    followers_are_alike: bool,
}

impl Symmetry {
    pub(super) fn of(search: &Search) -> Self {
        Self {
            scope: search.scope,
            followers_are_alike: !is_twice(&search.takeovers),
        }
    }

    /// The same for states that differ in names only, or in nothing that can still matter.
    pub(super) fn fingerprint(&self, world: &World) -> u64 {
        let mut hasher = DefaultHasher::new();
        world.hash_shared(&self.scope, self, &mut hasher);
        let mut replicas = self.states(world);
        if self.followers_are_alike {
            replicas[PILOTS..].sort_unstable();
        }
        replicas.hash(&mut hasher);
        hasher.finish()
    }

    /// Replicas of the same kind are the same but for their names.
    pub(super) fn kinds(&self, world: &World) -> Vec<u64> {
        let mut kinds = self.states(world);
        let named = if self.followers_are_alike {
            PILOTS
        } else {
            kinds.len()
        };
        for (id, kind) in kinds[..named].iter_mut().enumerate() {
            *kind = id as u64;
        }
        kinds
    }

    fn states(&self, world: &World) -> Vec<u64> {
        let of_replica = |replica: &Rc<Acceptor>| {
            let mut hasher = DefaultHasher::new();
            world.hash_replica(replica, &self.scope, self, &mut hasher);
            hasher.finish()
        };
        world.replicas.iter().map(of_replica).collect()
    }

    /// A ballot without the name of a follower.
    pub(super) fn anonymous(&self, mut ballot: Ballot) -> Ballot {
        if self.followers_are_alike && ballot.proposer.0 as usize >= PILOTS {
            ballot.proposer = ReplicaId(PILOTS as u32);
        }
        ballot
    }
}

const PILOTS: usize = 2;
