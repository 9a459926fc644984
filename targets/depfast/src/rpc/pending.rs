//! Calls that wait for an answer, a bounded number per peer.

use std::collections::BTreeMap;

use crate::env::Ticket;
use crate::event::{Completion, RpcResult};
use crate::id::NodeId;

/// More unanswered calls than this and the oldest is given up: a stopped peer must not cost memory.
const PER_PEER: usize = 4096;

#[derive(Default)]
pub(super) struct Pending {
    last_id: u64,
    calls: BTreeMap<NodeId, BTreeMap<u64, Unanswered>>,
}

pub(super) struct Unanswered {
    pub(super) completion: Completion<RpcResult>,
    ticket: Option<Ticket>,
}

impl Pending {
    /// Numbers calls from a number that no earlier life of the node began near: an answer that a peer owed that life would
    /// else be taken for one to a call of this life.
    pub(super) fn of_life(random: u64) -> Self {
        Self {
            last_id: random >> 1,
            calls: BTreeMap::new(),
        }
    }

    /// Opens a call; also returns the one that has to be given up for it.
    pub(super) fn open(&mut self, peer: NodeId) -> (u64, Completion<RpcResult>, Option<u64>) {
        self.last_id += 1;
        let calls = self.calls.entry(peer).or_default();
        let surplus = if calls.len() >= PER_PEER {
            calls.first_key_value().map(|(id, _)| *id)
        } else {
            None
        };
        let completion = Completion::default();
        let call = Unanswered {
            completion: completion.clone(),
            ticket: None,
        };
        calls.insert(self.last_id, call);
        (self.last_id, completion, surplus)
    }

    /// Notes by which name the transport knows a call.
    pub(super) fn sent(&mut self, peer: NodeId, id: u64, ticket: Ticket) {
        if let Some(call) = self
            .calls
            .get_mut(&peer)
            .and_then(|calls| calls.get_mut(&id))
        {
            call.ticket = Some(ticket);
        }
    }

    pub(super) fn ticket(&self, peer: NodeId, id: u64) -> Option<Ticket> {
        self.calls.get(&peer)?.get(&id)?.ticket
    }

    pub(super) fn is_open(&self, peer: NodeId, id: u64) -> bool {
        (self.calls.get(&peer)).is_some_and(|calls| calls.contains_key(&id))
    }

    pub(super) fn close(&mut self, peer: NodeId, id: u64) -> Option<Completion<RpcResult>> {
        let call = self.calls.get_mut(&peer)?.remove(&id)?;
        Some(call.completion)
    }

    pub(super) fn drain(&mut self, peer: NodeId) -> Vec<Completion<RpcResult>> {
        let calls = self.calls.remove(&peer).unwrap_or_default();
        calls.into_values().map(|call| call.completion).collect()
    }

    /// All calls to all peers.
    pub(super) fn drain_all(&mut self) -> Vec<Completion<RpcResult>> {
        let calls = std::mem::take(&mut self.calls).into_values().flatten();
        calls.map(|(_, call)| call.completion).collect()
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
        let (_, _, surplus) = pending.open(silent);
        assert_eq!(surplus, Some(1));
        assert!(pending.close(silent, 1).is_some());
        assert!(pending.close(silent, 1).is_none());
        assert_eq!(pending.drain(silent).len(), PER_PEER);
    }
}
