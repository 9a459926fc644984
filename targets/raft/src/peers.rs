//! The replica as its peers see it.

use std::rc::Rc;

use bytes::Bytes;
use depfast::{Responder, Service};

use crate::membership::Group;
use crate::message::{APPEND, SNAPSHOT, TIMEOUT_NOW, VOTE};
use crate::mutation::Mutation;
use crate::replica::Raft;
use crate::state::State;
use crate::storage::Lsn;
use crate::types::ReplicaId;

/// Hands the calls of peers to the replica.
pub(crate) struct Peers(pub(crate) Rc<Raft>);

impl Service for Peers {
    fn handle(&self, from: ReplicaId, method: u8, body: Bytes, respond: Responder) {
        match method {
            VOTE => self.0.on_vote_request(from, body, respond),
            APPEND => self.0.on_append(from, body, respond),
            SNAPSHOT => self.0.on_snapshot(from, body, respond),
            TIMEOUT_NOW => self.0.on_timeout_now(body),
            // A later version's message: silence is what a peer must be ready for anyway.
            _ => {}
        }
    }
}

impl Raft {
    /// Answers a peer as soon as everything that was appended to the log file so far is durable.
    pub(crate) fn promise(&self, respond: Responder, reply: Bytes) {
        let lsn = self.wal.end();
        let mut promises = self.promises.borrow_mut();
        let durable = self.wal.durable().get() >= lsn || self.mutates(Mutation::SkipFsync);
        if promises.is_empty() && durable {
            respond.send(vec![reply]);
            return;
        }
        promises.push_back((lsn, respond, reply));
        if promises.len() == 1 {
            self.promised.set(());
        }
    }

    pub(crate) async fn answer_when_durable(&self) {
        loop {
            self.promised
                .wait("promises", |()| !self.promises.borrow().is_empty())
                .await;
            let first = self
                .promises
                .borrow()
                .front()
                .map(|promise| promise.0)
                .unwrap_or_default();
            self.wal
                .durable()
                .wait("durable log", |durable| *durable >= first)
                .await;
            let durable = self.wal.durable().get();
            while let Some((_, respond, reply)) = self.pop_promise(durable) {
                respond.send(vec![reply]);
            }
        }
    }

    fn pop_promise(&self, durable: Lsn) -> Option<(Lsn, Responder, Bytes)> {
        let mut promises = self.promises.borrow_mut();
        promises.pop_front_if(|promise| promise.0 <= durable)
    }

    /// Makes the connections fit the members, after the members have changed.
    pub(crate) fn connect_members(&self, state: &State) {
        self.group.replace(Group::clone(state.membership.group()));
        let everybody = state.membership.everybody();
        let connected = self.rpc.peers();
        for (id, member) in everybody.iter().filter(|(id, _)| **id != self.me) {
            if !connected.contains(id) {
                self.rpc.add_peer(*id, &member.peer);
            }
        }
        for id in connected {
            let learns = matches!(&state.standing, crate::state::Standing::Leader(leading) if leading.teaches(id));
            if !everybody.contains_key(&id) && !learns {
                self.rpc.remove_peer(id);
            }
        }
    }
}
