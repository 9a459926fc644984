//! Which states are the same but for the names of replicas without a role.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Scope, World};
use crate::core::*;

/// Replicas with a role, which are the first ones.
const PILOTS: u32 = 2;

impl World {
    /// The same for states that differ in names of followers only, or in nothing that can still matter.
    pub(super) fn fingerprint(&self, scope: &Scope) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_shared(scope, &mut hasher);
        let mut replicas: Vec<_> = self.ids().map(|id| self.state(id, scope)).collect();
        replicas.sort_unstable();
        replicas.hash(&mut hasher);
        hasher.finish()
    }

    /// What of a replica can still matter; its name only if it has a role.
    pub(super) fn state(&self, id: ReplicaId, scope: &Scope) -> (u32, u64) {
        let mut hasher = DefaultHasher::new();
        self.hash_replica(&self.replicas[id.0 as usize], scope, &mut hasher);
        (id.0.min(PILOTS), hasher.finish())
    }
}
