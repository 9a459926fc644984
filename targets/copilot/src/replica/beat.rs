//! Signs of life.

use std::rc::Rc;

use super::Copilot;
use crate::core::{Both, Index, ReplicaId, Role};
use crate::message::{BEAT, Beat};
use crate::wire::Wire;

impl Copilot {
    /// Says that this replica lives, what it serves and how far it is.
    pub(crate) async fn beat_forever(self: Rc<Self>) {
        loop {
            let beat = {
                let state = self.state.borrow();
                Beat {
                    views: Both::new(|role| *state.core.standing(role)),
                    serves: Both::new(|role| state.pilots[role].is_some()),
                    committed: Both::new(|role| state.core.log(role).committed()),
                    executed: state.kept.clone(),
                }
            };
            let beat = beat.encode();
            for peer in &self.peers {
                self.rpc.cast(*peer, BEAT, vec![beat.clone()]);
            }
            self.forget_executed();
            self.env.timeout("heartbeat", self.timing.heartbeat).await;
        }
    }

    pub(crate) fn on_beat(&self, from: ReplicaId, beat: &Beat) {
        let mut state = self.state.borrow_mut();
        for role in Role::BOTH {
            state.core.learn_standing(role, beat.views[role]);
            self.settle(&mut state);
            let standing = state.core.standing(role);
            let is_pilot = standing.is_active() && standing.current.pilot == from;
            if is_pilot && beat.serves[role] {
                state.contact[role] = self.env.now();
            }
            let peer = state.peers.entry(from).or_default();
            peer.executed[role] = beat.executed[role];
            peer.committed[role] = beat.committed[role];
        }
        drop(state);
        self.behind.set(());
    }

    /// Forgets what all replicas have executed, and more if some lag far behind.
    fn forget_executed(&self) {
        let mut state = self.state.borrow_mut();
        for role in Role::BOTH {
            let own = state.core.log(role).executed();
            let slowest = self
                .peers
                .iter()
                .map(|peer| {
                    state
                        .peers
                        .get(peer)
                        .map_or(Index::ZERO, |peer| peer.executed[role])
                })
                .min()
                .unwrap_or(own);
            let kept = Index(own.0.saturating_sub(self.log_entries));
            state.core.truncate(role, slowest.max(kept));
        }
    }
}
