//! From requests to a batch on its way.

use std::rc::Rc;

use depfast::{QuorumEvent, Verdict};

use super::InFlight;
use crate::replica::Raft;
use crate::state::State;
use crate::types::Term;

/// Batches in flight at the same time. While as many are, requests gather into one larger batch, which costs less per
/// request; two keep disk and network busy while the clients' next requests come in.
const WINDOW: usize = 2;

impl Raft {
    pub(super) async fn gather_while_leading(self: &Rc<Self>, term: Term) {
        loop {
            self.work
                .wait("requests", |()| {
                    let mut state = self.state.borrow_mut();
                    state.leading(term).is_none_or(|leading| {
                        !leading.gathered_ops.is_empty() && leading.in_flight.len() < WINDOW
                    })
                })
                .await;
            let mut state = self.state.borrow_mut();
            if state.leading(term).is_none() {
                return;
            }
            self.launch(&mut state, term);
        }
    }

    /// Sends what was gathered on its way to the log file and to all peers.
    pub(super) fn launch(self: &Rc<Self>, state: &mut State, term: Term) {
        let next = state.log.last().next();
        let Some(leading) = state.leading(term) else {
            return;
        };
        let ops = std::mem::take(&mut leading.gathered_ops);
        let quorum = QuorumEvent::majority(&self.env, self.group_size());
        let gathered = &mut leading.gathered;
        let batch = (!gathered.is_empty()).then(|| gathered.finish(term, next));
        leading.round += 1;
        let round = leading.round;
        let mut lsn = self.wal.durable().get();
        if let Some(batch) = &batch {
            lsn = self.append(state, batch.clone());
        } else {
            quorum.vote(self.me, Verdict::Accept);
        }
        let last = state.log.last();
        if let Some(leading) = state.leading(term) {
            leading.in_flight.push_back(InFlight {
                batch,
                ops,
                last,
                round,
                lsn,
                quorum,
            });
        }
        for peer in &self.peers {
            self.send_entries(state, *peer);
        }
        self.work.set(());
    }
}
