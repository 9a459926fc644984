//! How a leader is found.
//!
//! A replica that has heard no leader for a random time first asks whether it would be elected (pre-vote). Replicas
//! that hear a leader say no, so one that is slow, or cut off, comes back without disturbing anyone. They also say no
//! in a real election, whatever its term, because a leader's lease rests on that; unless the leader itself has asked the
//! candidate to take over.

use std::rc::Rc;

use bytes::Bytes;
use depfast::event::RpcResult;
use depfast::{Outcome, QuorumEvent, Responder, Verdict};
use kv::Role;

use crate::membership::Group;
use crate::message::{Ballot, TimeoutNow, VOTE, VoteReply, VoteRequest};
use crate::replica::Raft;
use crate::state::{Standing, State};
use crate::storage::HardState;
use crate::types::ReplicaId;

impl Raft {
    pub(crate) async fn elect_forever(self: &Rc<Self>) {
        loop {
            self.lose_patience().await;
            if self.is_voter() && self.would_win().await {
                self.stand(Ballot::Real).await;
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

    fn is_voter(&self) -> bool {
        self.state.borrow().membership.is_voter(self.me)
    }

    async fn would_win(self: &Rc<Self>) -> bool {
        let (term, votes) = {
            let mut state = self.state.borrow_mut();
            state.leader = None;
            let votes = QuorumEvent::majority(&self.env, state.membership.group().len());
            votes.vote(self.me, Verdict::Accept);
            self.ask_for_votes(&state, &votes, Ballot::Pre);
            (state.term(), votes)
        };
        let outcome = votes
            .wait_for("pre-vote", self.timing.election_timeout.start)
            .await;
        let state = self.state.borrow();
        outcome == Outcome::Ready && state.term() == term && state.leader.is_none()
    }

    async fn stand(self: &Rc<Self>, ballot: Ballot) {
        let (term, lsn, votes) = {
            let mut state = self.state.borrow_mut();
            let term = state.term().next();
            state.hard = HardState {
                term,
                voted_for: Some(self.me),
            };
            state.leader = None;
            state.standing = Standing::Candidate;
            let lsn = self.wal.note(&state.hard);
            let votes = QuorumEvent::majority(&self.env, state.membership.group().len());
            self.ask_for_votes(&state, &votes, ballot);
            (term, lsn, votes)
        };
        let (this, own_vote) = (Rc::clone(self), votes.clone());
        self.env.spawn(async move {
            this.wal
                .durable()
                .wait("own vote", |durable| *durable >= lsn)
                .await;
            own_vote.vote(this.me, Verdict::Accept);
        });
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

    /// Asks every other voter; their answers count in `votes`.
    fn ask_for_votes(self: &Rc<Self>, state: &State, votes: &QuorumEvent, ballot: Ballot) {
        let request = VoteRequest {
            term: match ballot {
                Ballot::Pre => state.term().next(),
                Ballot::Real | Ballot::Transfer => state.term(),
            },
            ballot,
            last_index: state.log.last(),
            last_term: state.log.last_term(),
        };
        let request = request.encode();
        let group: Group = Rc::clone(state.membership.group());
        // Whom a request has not left for by then need not be asked any more.
        votes.drop_unsent();
        for peer in group.keys().copied().filter(|id| *id != self.me) {
            let this = Rc::clone(self);
            let call = self.rpc.call(peer, VOTE, vec![request.clone()]);
            // A call that fails at once is judged here and now, which looks at no state.
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
            Ballot::Real if self.hears_leader(&state) => false,
            Ballot::Real | Ballot::Transfer => self.vote(&mut state, from, &request),
        };
        let reply = VoteReply {
            term: state.term(),
            granted,
        };
        drop(state);
        // Whatever the answer says about term and vote must not be forgotten.
        self.promise(respond, reply.encode());
    }

    /// Whether there is a leader at present, as far as this replica can tell; it may be the leader itself.
    fn hears_leader(&self, state: &State) -> bool {
        let (now, patience) = (self.env.now(), self.timing.election_timeout.start);
        match &state.standing {
            Standing::Leader(leading) => {
                leading.is_heard(state.membership.group(), self.me, now, patience)
            }
            Standing::Follower | Standing::Candidate => now.since(state.contact) < patience,
        }
    }

    fn would_vote(&self, state: &State, request: &VoteRequest) -> bool {
        request.term > state.term()
            && !self.hears_leader(state)
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
            .is_none_or(|voted_for| voted_for == candidate)
            || self.mutates(crate::Mutation::VoteTwice);
        if request.term < state.term() || !free || !is_current(state, request) {
            return false;
        }
        if state.hard.voted_for != Some(candidate) {
            state.hard.voted_for = Some(candidate);
            self.wal.note(&state.hard);
        }
        state.patience_from = self.env.now();
        true
    }

    /// The leader asks this replica to take over.
    pub(crate) fn on_timeout_now(self: &Rc<Self>, body: Bytes) {
        let Some(request) = TimeoutNow::decode(body) else {
            return;
        };
        {
            let mut state = self.state.borrow_mut();
            let fits = request.term == state.term() && state.role() == Role::Follower;
            if !fits || !state.membership.is_voter(self.me) {
                return;
            }
            state.handovers = request.handovers;
        }
        let this = Rc::clone(self);
        self.env
            .spawn(async move { this.stand(Ballot::Transfer).await });
    }
}

/// Whether the candidate's log holds everything that may be committed, as far as this replica can tell.
fn is_current(state: &State, request: &VoteRequest) -> bool {
    (request.last_term, request.last_index) >= (state.log.last_term(), state.log.last())
}
