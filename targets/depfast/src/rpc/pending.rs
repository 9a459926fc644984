//! Calls that wait for an answer, a bounded number per peer.

use std::collections::BTreeMap;

use crate::event::{Completion, RpcResult};
use crate::id::NodeId;

/// More unanswered calls than this and the oldest is given up: a stopped peer must not cost memory.
const PER_PEER: usize = 4096;

#[derive(Default)]
pub(super) struct Pending {
    last_id: u64,
    calls: BTreeMap<NodeId, BTreeMap<u64, Completion<RpcResult>>>,
}

impl Pending {
    /// Opens a call; also returns the one that had to be given up for it.
    pub(super) fn open(
        &mut self,
        peer: NodeId,
    ) -> (u64, Completion<RpcResult>, Option<Completion<RpcResult>>) {
        self.last_id += 1;
        let calls = self.calls.entry(peer).or_default();
        let evicted = if calls.len() >= PER_PEER {
            calls.pop_first().map(|(_, call)| call)
        } else {
            None
        };
        let completion = Completion::default();
        calls.insert(self.last_id, completion.clone());
        (self.last_id, completion, evicted)
    }

    pub(super) fn close(&mut self, peer: NodeId, id: u64) -> Option<Completion<RpcResult>> {
        self.calls.get_mut(&peer)?.remove(&id)
    }

    pub(super) fn drain(&mut self, peer: NodeId) -> Vec<Completion<RpcResult>> {
        self.calls
            .remove(&peer)
            .map(|calls| calls.into_values().collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_call_to_a_silent_peer_is_given_up() {
        let mut pending = Pending::default();
        let silent = NodeId(2);
        for _ in 0..PER_PEER {
            assert!(pending.open(silent).2.is_none());
        }
        assert!(pending.open(NodeId(3)).2.is_none());
        assert!(pending.open(silent).2.is_some());
        assert!(pending.close(silent, 1).is_none());
        assert_eq!(pending.drain(silent).len(), PER_PEER);
    }
}
