//! How a replica gets the whole state when what it lacks was forgotten by the others.

use std::time::Duration;

use bytes::Bytes;
use depfast::Responder;

use super::Copilot;
use super::head::Head;
use crate::core::{ReplicaId, Role};
use crate::machine::Machine;
use crate::message::{SNAPSHOT, SnapshotRequest};
use crate::wire::Wire;

/// A peer that does not answer for this long is given up.
const PATIENCE: Duration = Duration::from_secs(2);

/// A snapshot on its way to a peer.
pub(crate) struct Sending {
    attempt: u64,
    next: u64,
    chunks: kv::Snapshot,
}

impl Copilot {
    /// Gives a peer the next piece of a snapshot; the first one is the head, the last one is nothing.
    pub(crate) fn on_snapshot_request(
        &self,
        from: ReplicaId,
        request: SnapshotRequest,
        respond: Responder,
    ) {
        let mut state = self.state.borrow_mut();
        let sending = state.snapshots.get_mut(&from);
        let sending = sending.filter(|sending| sending.attempt == request.attempt);
        let piece: Option<Bytes> = if request.piece == 0 {
            // A copy of the request must not put pieces of a later moment under the head that the asker has.
            if sending.is_some() {
                return;
            }
            state.snapshots.remove(&from);
            if state.machine.applied > request.applied {
                let sending = Sending {
                    attempt: request.attempt,
                    next: 1,
                    chunks: state.machine.store.snapshot(),
                };
                state.snapshots.insert(from, sending);
            }
            Some(Head::of(&state).encode())
        } else {
            let Some(sending) = sending.filter(|sending| sending.next == request.piece) else {
                return;
            };
            sending.next += 1;
            let piece = sending.chunks.next();
            if piece.is_none() {
                state.snapshots.remove(&from);
            }
            piece
        };
        drop(state);
        self.promise(respond, piece.encode());
    }

    /// Takes over what a peer has executed, and its store if more led to that than to the one here; false if that did not
    /// work, or brought nothing.
    pub(crate) async fn fetch_snapshot(&self, peer: ReplicaId) -> bool {
        let applied = self.state.borrow().machine.applied;
        let attempt = self.env.random_u64();
        let ask = |piece| SnapshotRequest {
            attempt,
            piece,
            applied,
        };
        let Some(Some(head)) = self.piece(peer, ask(0)).await else {
            return false;
        };
        let Some(head) = Head::decode(head) else {
            return false;
        };
        if head.applied <= applied {
            return self.install(&head, None);
        }
        let mut restoring = kv::Restoring::default();
        for number in 1.. {
            match self.piece(peer, ask(number)).await {
                Some(Some(chunk)) if restoring.take(&chunk).is_ok() => {}
                Some(None) => break,
                _ => return false,
            }
        }
        let Ok(store) = restoring.finish() else {
            return false;
        };
        self.install(&head, Some(head.machine(store)))
    }

    async fn piece(&self, peer: ReplicaId, request: SnapshotRequest) -> Option<Option<Bytes>> {
        let call = self.rpc.call(peer, SNAPSHOT, vec![request.encode()]);
        let answer = self
            .env
            .within("snapshot", PATIENCE, call.wait("snapshot"))
            .await?;
        Option::<Bytes>::decode(answer.ok()?)
    }

    fn install(&self, head: &Head, machine: Option<Machine>) -> bool {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if !state.core.install(&head.executed, head.reach) {
            return false;
        }
        for role in Role::BOTH {
            let next = state.core.log(role).executed().next();
            state.decided[role] = state.decided[role].split_off(&next);
            state.core.learn_standing(role, head.views[role]);
        }
        // This replica may have executed more while the store was on its way.
        if let Some(machine) = machine.filter(|theirs| theirs.applied > state.machine.applied) {
            state.machine = machine;
            state.proxy.answer_after_snapshot(&state.machine);
        }
        self.settle(state);
        self.wal.state_replaced();
        self.moved.set(());
        true
    }
}
