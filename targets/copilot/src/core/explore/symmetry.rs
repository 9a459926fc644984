//! Which states are the same but for the names of replicas without a role.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Place, Scope, World};
use crate::core::*;

/// Replicas with a role, which are the first ones.
const PILOTS: usize = 2;

impl World {
    /// The same for states that differ in names of followers only, or in nothing that can still matter. A follower is known
    /// by what it knows, and by which attempts are its own.
    pub(super) fn fingerprint(&self, scope: &Scope) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_shared(scope, &mut hasher);
        let mut replicas = self.states(scope);
        replicas[PILOTS..].sort_unstable();
        replicas.hash(&mut hasher);
        hasher.finish()
    }

    /// Replicas of the same kind are the same but for their names.
    pub(super) fn kinds(&self, scope: &Scope) -> Vec<u64> {
        let mut kinds = self.states(scope);
        kinds[..PILOTS].copy_from_slice(&[0, 1]);
        kinds
    }

    fn states(&self, scope: &Scope) -> Vec<u64> {
        let of_replica = |id: ReplicaId| {
            let mut hasher = DefaultHasher::new();
            self.hash_replica(&self.replicas[id.0 as usize], scope, &mut hasher);
            hasher.finish()
        };
        self.ids().map(of_replica).collect()
    }

    /// The rounds in which somebody else may take an entry over: one between each two that there are, one before and one
    /// after. Which attempt is higher follows from names if neither knows of the other; this way it may be any, and
    /// names do not matter.
    pub(super) fn free_rounds(&self, place: Place) -> Vec<u32> {
        let mut rounds = self.rounds(place);
        rounds.insert(0, 0);
        let between = rounds.windows(2).map(|pair| pair[0].midpoint(pair[1]));
        let last = rounds[rounds.len() - 1] + FAR;
        between.chain([last]).collect()
    }

    /// What of a ballot matters: how many lower ones there are.
    pub(super) fn rank(&self, place: Place, ballot: Ballot) -> usize {
        let rounds = self.rounds(place);
        rounds.partition_point(|round| *round <= ballot.round)
    }

    fn rounds(&self, place: Place) -> Vec<u32> {
        let begun = self.begun.iter().filter(|(of, _)| *of == place);
        begun.map(|(_, round)| *round).collect()
    }
}

/// Room for more rounds between two than anybody needs.
const FAR: u32 = 1 << 16;
