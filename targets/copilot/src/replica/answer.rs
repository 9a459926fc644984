//! What a replica does for its peers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use depfast::{Env, Responder, Service, ValueEvent};

use super::Copilot;
use super::state::State;
use crate::core::{
    AcceptReply, Choice, Commit, FastReply, Index, Refusal, ReplicaId, Report, Role,
};
use crate::message::{
    ACCEPT, Accept, BEAT, Beat, DECIDED, Decided, FAST_ACCEPT, FastAccept, LEARN, Learn, PREPARE,
    Prepare, SNAPSHOT, SUBMIT, SnapshotRequest, VIEW, ViewRequest,
};
use crate::wal::Lsn;
use crate::wire::Wire;

/// The replica as its peers see it.
pub(crate) struct Peers(pub(crate) Rc<Copilot>);

impl Service for Peers {
    fn handle(&self, from: ReplicaId, method: u8, body: Bytes, respond: Responder) {
        // What cannot be read is of a later version: silence is what a peer must be ready for anyway.
        let _unread = self.0.handle(from, method, body, respond);
    }
}

impl Copilot {
    fn handle(
        self: &Rc<Self>,
        from: ReplicaId,
        method: u8,
        body: Bytes,
        respond: Responder,
    ) -> Option<()> {
        match method {
            FAST_ACCEPT => self.on_fast_accept(from, FastAccept::decode(body)?, respond),
            ACCEPT => self.on_accept(Accept::decode(body)?, respond),
            PREPARE => self.on_prepare(Prepare::decode(body)?, respond),
            DECIDED => self.on_decided(from, Decided::decode(body)?),
            LEARN => self.on_learn(Learn::decode(body)?, respond),
            SNAPSHOT => self.on_snapshot_request(from, SnapshotRequest::decode(body)?, respond),
            SUBMIT => self.on_submit(body),
            BEAT => self.on_beat(from, &Beat::decode(body)?),
            VIEW => self.on_view_request(from, ViewRequest::decode(body)?, respond),
            _ => {}
        }
        Some(())
    }

    fn on_fast_accept(&self, from: ReplicaId, message: FastAccept, respond: Responder) {
        let FastAccept {
            role,
            index,
            value,
            dep,
            dep_view,
        } = message;
        let mut state = self.state.borrow_mut();
        let is_pilots = value.origin.pilot == from;
        let reply: Result<FastReply, Refusal> =
            state.core.fast_accept(role, index, value, dep, dep_view);
        self.settle(&mut state);
        if is_pilots && reply.is_ok() {
            state.contact[role] = self.env.now();
            self.take_ball(&mut state, role.other());
        }
        drop(state);
        self.promise(respond, reply.encode());
    }

    fn on_accept(&self, message: Accept, respond: Responder) {
        let Accept {
            role,
            index,
            ballot,
            choice,
            dep_view,
        } = message;
        let mut state = self.state.borrow_mut();
        let reply: Result<AcceptReply, Refusal> =
            state.core.accept(role, index, ballot, choice, dep_view);
        self.settle(&mut state);
        drop(state);
        self.promise(respond, reply.encode());
    }

    fn on_prepare(&self, message: Prepare, respond: Responder) {
        let Prepare {
            role,
            index,
            ballot,
        } = message;
        let mut state = self.state.borrow_mut();
        let reply: Result<Report, Refusal> = state.core.prepare(role, index, ballot);
        self.settle(&mut state);
        drop(state);
        self.promise(respond, reply.encode());
    }

    fn on_decided(&self, from: ReplicaId, message: Decided) {
        let Decided {
            role,
            index,
            origin,
            dep,
            dep_seen,
        } = message;
        let mut state = self.state.borrow_mut();
        let value = match origin {
            None => None,
            Some(origin) => {
                let entry = state.core.log(role).get(index);
                let Some(value) = entry.and_then(|entry| entry.batch_of(origin)).cloned() else {
                    self.note_lack(&mut state, from, role, index);
                    return;
                };
                Some(value)
            }
        };
        let choice = Choice { value, dep };
        self.learn_decision(&mut state, role, index, Commit { choice, dep_seen });
    }

    /// Notes that a peer knows a decision that is missing here.
    fn note_lack(&self, state: &mut State, peer: ReplicaId, role: Role, index: Index) {
        let known = &mut state.peers.entry(peer).or_default().committed[role];
        *known = index.max(*known);
        self.behind.set(());
    }
}

/// Answers that wait until everything appended to the log file before them is durable.
pub(crate) struct Promises {
    waiting: RefCell<VecDeque<(Lsn, Responder, Bytes)>>,
    any: ValueEvent<()>,
}

impl Promises {
    pub(crate) fn new(env: &Env) -> Self {
        Self {
            waiting: RefCell::default(),
            any: ValueEvent::new(env, ()),
        }
    }
}

impl Copilot {
    /// Answers a peer as soon as this replica cannot forget what the answer says.
    pub(crate) fn promise(&self, respond: Responder, reply: Bytes) {
        let mut waiting = self.promises.waiting.borrow_mut();
        if waiting.is_empty() && self.wal.is_durable() {
            respond.send(vec![reply]);
            return;
        }
        waiting.push_back((self.wal.end(), respond, reply));
        if waiting.len() == 1 {
            self.promises.any.set(());
        }
    }

    pub(crate) async fn answer_when_durable(self: Rc<Self>) {
        let Promises { waiting, any } = &self.promises;
        loop {
            any.wait("promises", |()| !waiting.borrow().is_empty())
                .await;
            let first = waiting.borrow().front().map(|promise| promise.0);
            let first = first.unwrap_or_default();
            let durable = self.wal.durable();
            durable
                .wait("durable log", |durable| *durable >= first)
                .await;
            let durable = durable.get();
            let next = || {
                waiting
                    .borrow_mut()
                    .pop_front_if(|promise| promise.0 <= durable)
            };
            while let Some((_, respond, reply)) = next() {
                respond.send(vec![reply]);
            }
        }
    }
}
