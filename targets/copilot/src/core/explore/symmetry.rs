//! Which states are the same but for the names of replicas without a role.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Scope, World};
use crate::core::*;

/// Replicas with a role, which are the first ones.
const PILOTS: usize = 2;

impl World {
    /// The same for states that differ in names of followers only, or in nothing that can still matter.
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
}
