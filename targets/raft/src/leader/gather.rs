//! From requests to a batch on its way.

use std::rc::Rc;

use depfast::{QuorumEvent, Verdict};

use super::{InFlight, Leading};
use crate::membership::Group;
use crate::replica::Raft;
use crate::state::State;
use crate::storage::Lsn;
use crate::types::Term;

/// Batches in flight at the same time. While as many are, requests gather into one larger batch, which costs less per
/// request; two keep disk and network busy while the clients' next requests come in.
const WINDOW: usize = 2;
/// Bytes that may wait for the leader's own disk.
const OWN_LAG: u64 = 128 << 20;

impl Raft {
    pub(super) async fn gather_while_leading(self: &Rc<Self>, term: Term) {
        loop {
            self.work
                .wait("requests", |()| {
                    let mut state = self.state.borrow_mut();
                    state.leading(term).is_none_or(|leading| {
                        !leading.gathered_ops.is_empty() && leading.may_launch()
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

    /// Whether the leader's own disk is so far behind that what waits for it would take too much memory. Until then it
    /// commits through the others.
    pub(super) fn own_log_lags(&self) -> bool {
        self.wal.end().0 - self.wal.durable().get().0 > OWN_LAG
    }

    /// Begins a round without requests, unless as many are under way anyway.
    pub(super) fn launch_if_room(self: &Rc<Self>, state: &mut State, term: Term) {
        if state
            .leading(term)
            .is_some_and(|leading| leading.may_launch())
        {
            self.launch(state, term);
        }
    }

    /// Sends what was gathered on its way to the log file and to all peers.
    pub(super) fn launch(self: &Rc<Self>, state: &mut State, term: Term) {
        let next = state.log.last().next();
        let Some(leading) = state.leading(term) else {
            return;
        };
        let ops = std::mem::take(&mut leading.gathered_ops);
        let gathered = &mut leading.gathered;
        let batch = (!gathered.is_empty()).then(|| gathered.finish(term, next));
        leading.round += 1;
        let round = leading.round;
        let lsn = match &batch {
            Some(batch) => self.append(state, batch.clone()),
            None => Lsn::default(),
        };
        // A batch that changes the members already counts by the new ones.
        let voters = Group::clone(state.membership.group());
        let in_flight = InFlight {
            batch,
            ops,
            last: state.log.last(),
            round,
            began: self.env.now(),
            lsn,
            quorum: QuorumEvent::majority(&self.env, voters.len()),
            voters,
        };
        if lsn == Lsn::default() {
            in_flight.vote(self.me, Verdict::Accept);
        }
        let Some(leading) = state.leading(term) else {
            return;
        };
        leading.in_flight.push_back(in_flight);
        let peers: Vec<_> = leading.peers.keys().copied().collect();
        for peer in peers {
            self.send_entries(state, peer);
        }
        self.work.set(());
    }
}

impl Leading {
    fn may_launch(&self) -> bool {
        self.in_flight.len() < WINDOW && self.successor.is_none()
    }
}
