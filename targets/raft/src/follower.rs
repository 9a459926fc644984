//! How a follower takes over its leader's log.

use bytes::Bytes;
use depfast::Responder;
use kv::Role;

use crate::message::{AppendReply, AppendRequest, Held};
use crate::replica::Raft;
use crate::state::State;
use crate::storage::{Batch, Record, Space};
use crate::types::{LogIndex, ReplicaId, Term};

impl Raft {
    pub(crate) fn on_append(&self, from: ReplicaId, mut body: Bytes, respond: Responder) {
        let Some(request) = AppendRequest::take(&mut body) else {
            return;
        };
        let Some(batches) = take_batches(body, request.previous) else {
            return;
        };
        let length: usize = batches.iter().map(|batch| batch.bytes().len()).sum();
        let mut state = self.state.borrow_mut();
        if request.term >= state.term() && length > 0 && !self.wal.has_room_for(length) {
            // It says nothing about entries that it cannot keep; the leader asks again with every heartbeat.
            return self.heed(&mut state, from, request.term);
        }
        let held = if request.term < state.term() {
            Held::LacksFrom(LogIndex::ZERO)
        } else {
            self.heed(&mut state, from, request.term);
            self.take_over(&mut state, &request, batches)
        };
        let reply = AppendReply {
            term: state.term(),
            round: request.round,
            held,
            full: self.wal.space().get() == Space::Full,
        };
        drop(state);
        self.promise(respond, reply.encode());
    }

    /// Accepts the sender as the leader of its term.
    pub(crate) fn heed(&self, state: &mut State, leader: ReplicaId, term: Term) {
        if term > state.term() || state.role() != Role::Follower {
            self.follow(state, term);
        }
        state.leader = Some(leader);
        state.contact = self.env.now();
        state.patience_from = self.env.now();
    }

    fn take_over(&self, state: &mut State, request: &AppendRequest, batches: Vec<Batch>) -> Held {
        let covered = state.log.start().after;
        match state.log.term_at(request.previous) {
            // What a snapshot covers is committed, so every leader has the same.
            _ if request.previous < covered => {}
            None => return Held::LacksFrom(state.log.last().next()),
            Some(term) if term != request.previous_term => {
                // Everything of a contradicted term goes at once; what is committed cannot be contradicted.
                let doubtful = state.log.first_of_term_at(request.previous);
                return Held::LacksFrom(doubtful.max(state.commit.next()));
            }
            Some(_) => {}
        }
        let mut matched = request.previous.max(covered);
        for batch in batches {
            matched = matched.max(batch.last());
            self.add(state, &batch);
        }
        if request.commit.min(matched) > state.commit {
            state.commit = request.commit.min(matched);
            self.committed.set(());
        }
        Held::UpTo(matched)
    }

    fn add(&self, state: &mut State, batch: &Batch) {
        let Some(from) = state.log.missing(batch) else {
            return;
        };
        if from <= state.log.last() {
            assert!(
                from > state.commit,
                "{}: committed entries are never contradicted, {from}",
                self.me
            );
            state.log.truncate_from(from);
            if state.membership.truncate_from(from) {
                self.connect_members(state);
            }
        }
        self.append(state, batch.starting_at(from));
    }
}

/// The batches of a message, if they are sound and follow each other.
fn take_batches(mut body: Bytes, mut previous: LogIndex) -> Option<Vec<Batch>> {
    let mut batches = Vec::new();
    while !body.is_empty() {
        let Some(Record::Entries(batch)) = Record::take(&mut body) else {
            return None;
        };
        if batch.first() != previous.next() {
            return None;
        }
        previous = batch.last();
        batches.push(batch);
    }
    Some(batches)
}
