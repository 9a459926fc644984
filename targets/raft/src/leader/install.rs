//! How a leader brings a follower up that lacks more than the log holds: off everybody else's path, one chunk at a time.

use std::io;
use std::rc::Rc;

use bytes::Bytes;

use crate::message::{Expects, Part, SNAPSHOT, SnapshotReply, SnapshotRequest};
use crate::pace::Pace;
use crate::replica::Raft;
use crate::snapshot::RATE;
use crate::state::State;
use crate::storage::SnapshotReader;
use crate::types::{LogIndex, ReplicaId, Term};

/// So many chunks in a row unanswered, and the follower is left alone until it answers a heartbeat.
const ATTEMPTS: usize = 5;

impl Raft {
    /// Has a peer sent the current snapshot.
    pub(super) fn send_snapshot(self: &Rc<Self>, state: &mut State, peer: ReplicaId) {
        let term = state.term();
        let Some(progress) = state.progress(term, peer) else {
            return;
        };
        let Some(reader) = self.snapshots.reader() else {
            return;
        };
        progress.fetching = true;
        let this = Rc::clone(self);
        self.env.spawn(async move {
            let sent = this.send_chunks(term, peer, &reader).await;
            let mut state = this.state.borrow_mut();
            let held = match sent {
                Ok(true) => Some(reader.meta().index),
                Ok(false) => None,
                Err(error) => return this.wal.fail(error),
            };
            this.snapshot_sent(&mut state, term, peer, held);
        });
    }

    fn snapshot_sent(
        self: &Rc<Self>,
        state: &mut State,
        term: Term,
        peer: ReplicaId,
        held: Option<LogIndex>,
    ) {
        let Some(progress) = state.progress(term, peer) else {
            return;
        };
        progress.fetching = false;
        if let Some(index) = held {
            progress.holds(index);
            self.send_entries(state, peer);
        }
    }

    /// Says whether the peer has all of it.
    async fn send_chunks(
        self: &Rc<Self>,
        term: Term,
        peer: ReplicaId,
        reader: &SnapshotReader,
    ) -> io::Result<bool> {
        let mut pace = Pace::new(&self.env, RATE);
        let (mut place, mut unanswered) = (reader.first(), 0);
        while unanswered < ATTEMPTS {
            if self.state.borrow_mut().leading(term).is_none() {
                return Ok(false);
            }
            let chunk = reader.chunk_at(place).await?;
            let (part, bytes) = match chunk {
                Some(chunk) => (Part::Chunk, chunk.bytes),
                None => (Part::End, Bytes::new()),
            };
            pace.spend(bytes.len()).await;
            let request = SnapshotRequest {
                term,
                meta: reader.meta().clone(),
                offset: place,
                part,
            };
            let call = self.rpc.call(peer, SNAPSHOT, vec![request.encode(), bytes]);
            // It concerns this one peer only.
            let reply = self
                .env
                .within(
                    "snapshot chunk",
                    self.timing.election_timeout.end,
                    call.wait("snapshot chunk"),
                )
                .await;
            let answered = matches!(reply, Some(Ok(_)));
            let reply = reply.and_then(Result::ok).and_then(SnapshotReply::decode);
            let Some(reply) = reply else {
                unanswered += 1;
                if !answered {
                    self.env
                        .timeout("snapshot pause", self.timing.heartbeat)
                        .await;
                }
                continue;
            };
            unanswered = 0;
            if !self.note_snapshot_reply(term, peer, &reply) {
                return Ok(false);
            }
            place = match reply.expects {
                Expects::Nothing => return Ok(true),
                Expects::From(0) => reader.first(),
                Expects::From(offset) => offset,
            };
        }
        Ok(false)
    }

    /// Says whether this replica still leads.
    fn note_snapshot_reply(&self, term: Term, peer: ReplicaId, reply: &SnapshotReply) -> bool {
        let mut state = self.state.borrow_mut();
        if reply.term > state.term() {
            self.follow(&mut state, reply.term);
            return false;
        }
        let now = self.env.now();
        let progress = state.progress(term, peer);
        progress.map(|progress| progress.heard = now).is_some()
    }
}
