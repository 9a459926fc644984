//! How a leader keeps its followers' patience, and notices that it has lost them.

use std::rc::Rc;

use crate::replica::Raft;
use crate::types::Term;

impl Raft {
    pub(super) async fn beat_while_leading(self: &Rc<Self>, term: Term) {
        loop {
            self.env.timeout("heartbeat", self.timing.heartbeat).await;
            let mut state = self.state.borrow_mut();
            if state.leading(term).is_none() {
                return;
            }
            for peer in &self.peers {
                self.send_heartbeat(&mut state, *peer);
            }
            if !self.is_heard(state.leading(term)) {
                // The others may have another leader by now; clients are told to look for it.
                self.follow(&mut state, term);
                return;
            }
        }
    }

    /// Whether a majority has answered lately. One slow follower is no reason to step down.
    fn is_heard(&self, leading: Option<&mut super::Leading>) -> bool {
        let Some(leading) = leading else { return false };
        let silence = self.timing.election_timeout.end;
        let heard = leading
            .peers
            .values()
            .filter(|peer| self.env.now().since(peer.heard) < silence)
            .count();
        // The leader itself is the missing one of the majority.
        heard >= self.group_size() / 2
    }
}
