//! Who takes part in a quorum.

use std::collections::BTreeSet;

use crate::id::NodeId;

/// A set of nodes to which the same few are added again and again.
#[derive(Default)]
pub(super) struct Members {
    /// One bit for each of the nodes below 64.
    low: u64,
    pub(super) all: BTreeSet<NodeId>,
}

impl Members {
    pub(super) fn add(&mut self, members: impl Iterator<Item = NodeId>) {
        for member in members {
            let bit = 1u64.checked_shl(member.0).unwrap_or(0);
            if self.low & bit == 0 {
                self.low |= bit;
                self.all.insert(member);
            }
        }
    }
}
