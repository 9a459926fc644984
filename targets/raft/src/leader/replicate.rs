//! What peers are sent, and what their answers mean.
//!
//! A peer is sent what follows the end of what it was sent before, without waiting, up to a window of unanswered
//! messages. Beyond that nothing is kept for it: what it lacks is read from the log when it answers.

use std::rc::Rc;

use bytes::Bytes;
use depfast::Verdict;

use super::Leading;
use super::progress::Progress;
use crate::membership::Group;
use crate::message::{APPEND, AppendReply, AppendRequest};
use crate::replica::Raft;
use crate::state::State;
use crate::storage::{Batch, Extent, Stretch};
use crate::types::{LogIndex, ReplicaId, Term};

impl Raft {
    /// Sends a peer what it was not sent yet, as far as its window allows.
    pub(super) fn send_entries(self: &Rc<Self>, state: &mut State, peer: ReplicaId) {
        let last = state.log.last();
        let term = state.term();
        loop {
            let Some(leading) = state.leading(term) else {
                return;
            };
            let round = leading.round;
            let Some(progress) = leading.peers.get_mut(&peer) else {
                return;
            };
            if !progress.may_send() || (progress.next > last && progress.told >= round) {
                return;
            }
            let next = progress.next;
            let batches = match state.log.since(next, self.message_bytes) {
                Stretch::Here(batches) => batches,
                Stretch::OnDisk(extent) => {
                    self.fetch_and_send(state, peer, extent);
                    return;
                }
                Stretch::Compacted => return self.send_snapshot(state, peer),
            };
            if self.send(state, peer, next, &batches) == Sent::No {
                return;
            }
        }
    }

    /// Has a peer that lags far behind sent what is no longer in memory, off everybody else's path.
    fn fetch_and_send(self: &Rc<Self>, state: &mut State, peer: ReplicaId, extent: Extent) {
        let term = state.term();
        let Some(progress) = state.progress(term, peer) else {
            return;
        };
        progress.fetching = true;
        let (next, attempt) = (progress.next, progress.attempt);
        let this = Rc::clone(self);
        self.env.spawn(async move {
            let batches = this.wal.read(&extent).await;
            let mut state = this.state.borrow_mut();
            let compacted = next < state.log.first_index();
            let batches = match batches {
                Ok(batches) => batches,
                // It was removed meanwhile, because a snapshot covers it.
                Err(_) if compacted => Vec::new(),
                Err(error) => return this.wal.fail(error),
            };
            let Some(progress) = state.progress(term, peer) else {
                return;
            };
            progress.fetching = false;
            // Meanwhile the peer may have said that it needs something else.
            if compacted
                || (progress.next, progress.attempt) != (next, attempt)
                || this.send(&mut state, peer, next, &batches) == Sent::Yes
            {
                this.send_entries(&mut state, peer);
            }
        });
    }

    /// Sends a peer a message without entries, so that it can say what it holds.
    pub(super) fn send_heartbeat(self: &Rc<Self>, state: &mut State, peer: ReplicaId) {
        let term = state.term();
        let Some(leading) = state.leading(term) else {
            return;
        };
        let Some(progress) = leading.peers.get(&peer) else {
            return;
        };
        // Of what a snapshot covers only the end is known.
        let next = progress.next.max(state.log.first_index());
        self.send(state, peer, next, &[]);
    }

    fn send(
        self: &Rc<Self>,
        state: &mut State,
        peer: ReplicaId,
        next: LogIndex,
        batches: &[Batch],
    ) -> Sent {
        let (term, commit) = (state.term(), state.commit);
        let previous = next.previous();
        let previous_term = state
            .log
            .term_at(previous)
            .expect("a leader sends from its own log");
        let Some(leading) = state.leading(term) else {
            return Sent::No;
        };
        let round = leading.round;
        let Some(progress) = leading.peers.get_mut(&peer) else {
            return Sent::No;
        };
        let request = AppendRequest {
            term,
            previous,
            previous_term,
            commit,
            round,
        };
        let mut body = Vec::with_capacity(batches.len() + 2);
        body.push(request.encode());
        body.extend(batches.iter().map(|batch| batch.bytes().clone()));
        let call = self.rpc.call(peer, APPEND, body);
        if call.error().is_some() {
            // Not even queued; the next heartbeat that is answered says where to go on.
            progress.begin_anew(progress.matched.next());
            return Sent::No;
        }
        progress.told = round;
        progress.told_in_beat = true;
        if let Some(batch) = batches.last() {
            progress.next = batch.last().next();
            progress.unanswered += 1;
        }
        let (attempt, has_entries) = (progress.attempt, !batches.is_empty());
        let this = Rc::clone(self);
        call.observe(move |result| match result {
            Ok(bytes) => this.on_append_reply(peer, term, attempt, bytes),
            Err(_) if has_entries => {
                let env = this.env.clone();
                // A call may fail while another is being sent, in the middle of a step.
                env.spawn(async move { this.on_append_failure(peer, term, attempt) });
            }
            Err(_) => {}
        });
        Sent::Yes
    }

    fn on_append_reply(self: &Rc<Self>, peer: ReplicaId, term: Term, attempt: u64, bytes: Bytes) {
        let Some(reply) = AppendReply::decode(bytes) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        if reply.term > state.term() {
            self.follow(&mut state, reply.term);
            return;
        }
        let group = Group::clone(state.membership.group());
        let Some(Leading {
            peers,
            in_flight,
            successor,
            changing,
            lacks_room,
            ..
        }) = state.leading(term)
        else {
            return;
        };
        let Some(progress) = peers.get_mut(&peer) else {
            return;
        };
        progress.heard = self.env.now();
        progress.answered = progress.answered.max(reply.round);
        progress.full = reply.full;
        let go_on = progress.note(attempt, reply.held);
        for batch in in_flight {
            if batch.last <= progress.matched && batch.round <= progress.answered {
                batch.vote(peer, Verdict::Accept);
            }
        }
        if *successor == Some(peer) || changing.is_some() {
            self.work.set(());
        }
        let full = |(id, peer): &(&ReplicaId, &Progress)| peer.full && group.contains_key(id);
        *lacks_room = 2 * peers.iter().filter(full).count() >= group.len();
        #[cfg(feature = "mutations")]
        if self.mutates(crate::Mutation::CommitOldTerm) {
            self.commit_whatever_a_majority_holds(&mut state);
        }
        if go_on {
            self.send_entries(&mut state, peer);
        }
    }

    fn on_append_failure(&self, peer: ReplicaId, term: Term, attempt: u64) {
        let mut state = self.state.borrow_mut();
        let progress = state.progress(term, peer);
        if let Some(progress) = progress.filter(|progress| progress.attempt == attempt) {
            progress.begin_anew(progress.matched.next());
        }
    }
}

#[cfg(feature = "mutations")]
impl Raft {
    fn commit_whatever_a_majority_holds(&self, state: &mut State) {
        let (own, term) = (state.log.last(), state.term());
        let Some(leading) = state.leading(term) else {
            return;
        };
        let mut held: Vec<_> = leading.peers.values().map(|peer| peer.matched).collect();
        held.push(own);
        held.sort_unstable();
        let majority = held[(held.len() - 1) / 2];
        if state.log.term_at(majority).is_some_and(|at| at < term) {
            state.commit = state.commit.max(majority);
        }
    }
}

/// Whether a message was at least queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Yes,
    No,
}
