//! How a follower that lags too far takes over a snapshot of its leader.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use depfast::Responder;

use crate::membership;
use crate::message::{Expects, Part, SnapshotReply, SnapshotRequest};
use crate::replica::Raft;
use crate::snapshot::restore;
use crate::storage::{SnapshotMeta, SnapshotWriter, is_full};
use crate::types::ReplicaId;

/// A snapshot that is being received, between two of its chunks.
pub(crate) struct Incoming {
    from: ReplicaId,
    writer: SnapshotWriter,
}

impl Raft {
    pub(crate) fn on_snapshot(
        self: &Rc<Self>,
        from: ReplicaId,
        mut body: Bytes,
        respond: Responder,
    ) {
        let Some(request) = SnapshotRequest::take(&mut body) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        if request.term < state.term() {
            let reply = SnapshotReply {
                term: state.term(),
                expects: Expects::From(0),
            };
            drop(state);
            self.promise(respond, reply.encode());
            return;
        }
        self.heed(&mut state, from, request.term);
        if state.receiving {
            // The chunk before is being written; the leader asks again.
            return;
        }
        state.receiving = true;
        let incoming = state.incoming.take();
        drop(state);
        let this = Rc::clone(self);
        self.env.spawn(async move {
            let result = this.receive(from, &request, body, incoming).await;
            let mut state = this.state.borrow_mut();
            state.receiving = false;
            let expects = match result {
                Ok((expects, incoming)) => {
                    state.incoming = incoming;
                    expects
                }
                // There may be room later.
                Err(error) if is_full(&error) => return,
                Err(error) => return this.wal.fail(error),
            };
            let reply = SnapshotReply {
                term: state.term(),
                expects,
            };
            drop(state);
            this.promise(respond, reply.encode());
        });
    }

    async fn receive(
        &self,
        from: ReplicaId,
        request: &SnapshotRequest,
        chunk: Bytes,
        incoming: Option<Incoming>,
    ) -> io::Result<(Expects, Option<Incoming>)> {
        if request.meta.index <= self.state.borrow().applied {
            return Ok((Expects::Nothing, None));
        }
        let fits =
            |incoming: &Incoming| incoming.from == from && *incoming.writer.meta() == request.meta;
        let mut incoming = match incoming.filter(fits) {
            Some(incoming) => incoming,
            None => Incoming {
                from,
                writer: self.snapshots.begin(request.meta.clone()).await?,
            },
        };
        if request.offset != incoming.writer.offset() {
            return Ok((Expects::From(incoming.writer.offset()), Some(incoming)));
        }
        match request.part {
            Part::Chunk => {
                incoming.writer.write(chunk).await?;
                Ok((Expects::From(incoming.writer.offset()), Some(incoming)))
            }
            Part::End => {
                let meta = incoming.writer.meta().clone();
                incoming.writer.finish().await?;
                self.install(&meta).await?;
                Ok((Expects::Nothing, None))
            }
        }
    }

    /// Makes the current snapshot the state machine's state.
    async fn install(&self, meta: &SnapshotMeta) -> io::Result<()> {
        let store = restore(&self.snapshots).await?;
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.applied >= meta.index {
            return Ok(());
        }
        let group = membership::decode(&meta.configuration)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        self.wal.install(&mut state.log, meta);
        state
            .membership
            .install(meta.index, group, state.log.last());
        state.store = store;
        state.commit = state.commit.max(meta.index);
        state.applied = meta.index;
        state.installed += 1;
        self.connect_members(state);
        Ok(())
    }
}
