//! How a leader is found.
//!
//! A replica that has heard no leader for a random time first asks whether it would be elected (pre-vote). Replicas
//! that hear a leader say no, so one that is slow, or cut off, comes back without disturbing anyone.

use std::rc::Rc;

use bytes::Bytes;
use depfast::event::RpcResult;
use depfast::{Outcome, QuorumEvent, Responder, Verdict};
use kv::Role;

use crate::message::{Ballot, VOTE, VoteReply, VoteRequest};
use crate::replica::Raft;
use crate::state::{Standing, State};
use crate::storage::HardState;
use crate::types::{ReplicaId, Term};

impl Raft {
    pub(crate) async fn elect_forever(self: &Rc<Self>) {
        loop {
            self.lose_patience().await;
            if self.would_win().await {
                self.stand().await;
            }
            self.state.borrow_mut().patience_from = self.env.now();
        }
    }

    /// Returns when no leader has been heard for long enough.
    async fn lose_patience(&self) {
        let patience = self.env.random_duration(&self.timing.election_timeout);
        loop {
            self.deposed
                .wait("leadership", |()| {
                    self.state.borrow().role() != Role::Leader
                })
                .await;
            let deadline = self.state.borrow().patience_from + patience;
            self.env.timeout_at("election timeout", deadline).await;
            // A process that was off the CPU finds its deadline passed while the leader's messages still wait to be
            // read: it reads first.
            self.env
                .timeout("election grace", self.timing.heartbeat)
                .await;
            let state = self.state.borrow();
            if state.role() != Role::Leader && state.patience_from + patience <= self.env.now() {
                return;
            }
        }
    }

    async fn would_win(self: &Rc<Self>) -> bool {
        let term = {
            let mut state = self.state.borrow_mut();
            state.leader = None;
            state.term()
        };
        let votes = QuorumEvent::majority(&self.env, self.group_size());
        votes.vote(self.me, Verdict::Accept);
        self.ask_for_votes(&votes, Ballot::Pre, term);
        let outcome = votes
            .wait_for("pre-vote", self.timing.election_timeout.start)
            .await;
        let state = self.state.borrow();
        outcome == Outcome::Ready && state.term() == term && state.leader.is_none()
    }

    async fn stand(self: &Rc<Self>) {
        let term = {
            let mut state = self.state.borrow_mut();
            let term = state.term().next();
            state.hard = HardState {
                term,
                voted_for: Some(self.me),
            };
            state.leader = None;
            state.standing = Standing::Candidate;
            term
        };
        let lsn = self.wal.note(&self.state.borrow().hard);
        let votes = QuorumEvent::majority(&self.env, self.group_size());
        let (this, own_vote) = (Rc::clone(self), votes.clone());
        self.env.spawn(async move {
            this.wal
                .durable()
                .wait("own vote", |durable| *durable >= lsn)
                .await;
            own_vote.vote(this.me, Verdict::Accept);
        });
        self.ask_for_votes(&votes, Ballot::Real, term);
        let outcome = votes
            .wait_for("vote", self.timing.election_timeout.start)
            .await;
        let mut state = self.state.borrow_mut();
        if state.term() != term || state.role() != Role::Candidate {
            return;
        }
        match outcome {
            Outcome::Ready => self.lead(&mut state),
            Outcome::Fail | Outcome::Timeout => state.standing = Standing::Follower,
        }
    }

    fn ask_for_votes(self: &Rc<Self>, votes: &QuorumEvent, ballot: Ballot, term: Term) {
        let request = {
            let state = self.state.borrow();
            let term = if ballot == Ballot::Pre {
                term.next()
            } else {
                term
            };
            let (last_index, last_term) = (state.log.last(), state.log.last_term());
            VoteRequest {
                term,
                ballot,
                last_index,
                last_term,
            }
        };
        let request = request.encode();
        for peer in &self.peers {
            let this = Rc::clone(self);
            let call = self.rpc.call(*peer, VOTE, vec![request.clone()]);
            votes.add(call, move |result| this.judge_vote(result));
        }
    }

    fn judge_vote(&self, result: &RpcResult) -> Verdict {
        let Some(reply) = result
            .as_ref()
            .ok()
            .and_then(|bytes| VoteReply::decode(bytes.clone()))
        else {
            return Verdict::Reject;
        };
        let mut state = self.state.borrow_mut();
        if reply.term > state.term() {
            self.follow(&mut state, reply.term);
        }
        if reply.granted {
            Verdict::Accept
        } else {
            Verdict::Reject
        }
    }

    pub(crate) fn on_vote_request(&self, from: ReplicaId, body: Bytes, respond: Responder) {
        let Some(request) = VoteRequest::decode(body) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        let granted = match request.ballot {
            Ballot::Pre => self.would_vote(&state, &request),
            Ballot::Real => self.vote(&mut state, from, &request),
        };
        let reply = VoteReply {
            term: state.term(),
            granted,
        };
        drop(state);
        // Whatever the answer says about term and vote must not be forgotten.
        self.promise(respond, reply.encode());
    }

    fn would_vote(&self, state: &State, request: &VoteRequest) -> bool {
        let hears_leader = self.env.now().since(state.contact) < self.timing.election_timeout.start;
        request.term > state.term()
            && !hears_leader
            && state.role() != Role::Leader
            && is_current(state, request)
    }

    fn vote(&self, state: &mut State, candidate: ReplicaId, request: &VoteRequest) -> bool {
        if request.term > state.term() {
            self.follow(state, request.term);
        }
        let free = state
            .hard
            .voted_for
            .is_none_or(|voted_for| voted_for == candidate);
        if request.term < state.term() || !free || !is_current(state, request) {
            return false;
        }
        if state.hard.voted_for.is_none() {
            state.hard.voted_for = Some(candidate);
            self.wal.note(&state.hard);
        }
        state.patience_from = self.env.now();
        true
    }
}

/// Whether the candidate's log holds everything that may be committed, as far as this replica can tell.
fn is_current(state: &State, request: &VoteRequest) -> bool {
    (request.last_term, request.last_index) >= (state.log.last_term(), state.log.last())
}
