//! How a leader keeps its followers' patience, and notices that it has lost them.

use std::rc::Rc;
use std::time::Duration;

use depfast::Instant;

use super::Leading;
use crate::config::Reads;
use crate::membership::Group;
use crate::replica::Raft;
use crate::types::{ReplicaId, Term};

impl Raft {
    pub(super) async fn beat_while_leading(self: &Rc<Self>, term: Term) {
        loop {
            self.env.timeout("heartbeat", self.timing.heartbeat).await;
            let mut state = self.state.borrow_mut();
            if state.leading(term).is_none() {
                return;
            }
            if let Some(leading) = state.leading(term) {
                leading.begin_beat();
            }
            if self.reads == Reads::Lease {
                // A round renews the lease though nobody asks for anything.
                self.launch_if_room(&mut state, term);
            }
            let silent: Vec<_> = state
                .leading(term)
                .map(|leading| leading.untold().collect())
                .unwrap_or_default();
            for peer in silent {
                self.send_heartbeat(&mut state, peer);
            }
            let patience = self.timing.election_timeout.end;
            let group = Group::clone(state.membership.group());
            let heard = state
                .leading(term)
                .is_some_and(|leading| leading.is_heard(&group, self.me, self.env.now(), patience));
            if !heard {
                // The others may have another leader by now; clients are told to look for it.
                self.follow(&mut state, term);
                return;
            }
        }
    }
}

impl Leading {
    /// Whether a majority, this replica included, has answered within `patience`. One slow follower does not matter.
    pub(crate) fn is_heard(
        &self,
        group: &Group,
        me: ReplicaId,
        now: Instant,
        patience: Duration,
    ) -> bool {
        let heard = |id: &ReplicaId| {
            *id == me
                || self
                    .peers
                    .get(id)
                    .is_some_and(|peer| now.since(peer.heard) < patience)
        };
        group.keys().filter(|id| heard(id)).count() > group.len() / 2
    }

    fn begin_beat(&mut self) {
        for peer in self.peers.values_mut() {
            peer.told_in_beat = false;
        }
    }

    /// Peers that were told nothing since the beat began.
    fn untold(&self) -> impl Iterator<Item = ReplicaId> {
        let untold = self.peers.iter().filter(|(_, peer)| !peer.told_in_beat);
        untold.map(|(id, _)| *id)
    }
}
