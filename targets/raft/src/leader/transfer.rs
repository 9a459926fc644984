//! How a leader hands over, so that the group is without one for a few round trips only.

use std::rc::Rc;
use std::time::Duration;

use depfast::Instant;
use kv::Role;

use super::Leading;
use crate::membership::Group;
use crate::message::{TIMEOUT_NOW, TimeoutNow};
use crate::replica::Raft;
use crate::state::State;
use crate::types::{LogIndex, ReplicaId, Term};

impl Raft {
    /// Hands leadership to `to`, or to the follower that holds most and answered lately; waits at most for an election
    /// timeout. Requests wait meanwhile. Says whether this replica leads no more.
    pub async fn hand_over(self: &Rc<Self>, to: Option<ReplicaId>) -> bool {
        let Some(term) = self.choose_successor(to) else {
            return self.state.borrow().role() != Role::Leader;
        };
        let limit = self.timing.election_timeout.end;
        let reached = self.successor_catches_up(term);
        if self
            .env
            .within("hand over: log", limit, reached)
            .await
            .is_some()
        {
            self.tell_successor(term);
            let elected = self
                .deposed
                .wait("hand over: election", |()| self.leads_no_more(term));
            let _or_not = self.env.within("hand over", limit, elected).await;
        }
        let mut state = self.state.borrow_mut();
        match state.leading(term) {
            None => true,
            Some(leading) => {
                leading.successor = None;
                self.work.set(());
                false
            }
        }
    }

    /// Chooses who is to take over and stops taking batches in; returns the term that is to end.
    fn choose_successor(&self, to: Option<ReplicaId>) -> Option<Term> {
        let mut state = self.state.borrow_mut();
        let (term, now, last) = (state.term(), self.env.now(), state.log.last());
        let group = Group::clone(state.membership.group());
        let patience = self.timing.heartbeat * 3;
        let leading = state.leading(term)?;
        if leading.successor.is_some() {
            return None;
        }
        leading.successor = match to {
            Some(id) => leading.can_succeed(&group, id).then_some(id),
            None => leading.fittest(&group, now, patience, last),
        };
        leading.successor.map(|_| term)
    }

    async fn successor_catches_up(&self, term: Term) {
        let caught_up = |state: &mut State| {
            let last = state.log.last();
            let Some(leading) = state.leading(term) else {
                return true;
            };
            let progress = leading.successor.and_then(|id| leading.peers.get(&id));
            progress.is_none_or(|progress| progress.matched >= last)
        };
        self.work
            .wait("hand over: log", |()| {
                caught_up(&mut self.state.borrow_mut())
            })
            .await;
    }

    fn tell_successor(&self, term: Term) {
        let mut state = self.state.borrow_mut();
        let handovers = state.handovers;
        let Some(leading) = state.leading(term) else {
            return;
        };
        if let Some(to) = leading.successor {
            leading.lease_is_lost = true;
            let message = TimeoutNow { term, handovers };
            let _no_answer = self.rpc.call(to, TIMEOUT_NOW, vec![message.encode()]);
        }
    }

    fn leads_no_more(&self, term: Term) -> bool {
        self.state.borrow_mut().leading(term).is_none()
    }
}

impl Leading {
    fn can_succeed(&self, group: &Group, id: ReplicaId) -> bool {
        group.contains_key(&id) && self.peers.contains_key(&id)
    }

    /// The voter that answered lately and lacks least of what follows its log up to `last`.
    fn fittest(
        &self,
        group: &Group,
        now: Instant,
        patience: Duration,
        last: LogIndex,
    ) -> Option<ReplicaId> {
        let fit = self
            .peers
            .iter()
            .filter(|(id, peer)| group.contains_key(id) && now.since(peer.heard) < patience);
        fit.min_by_key(|(_, peer)| last.0.saturating_sub(peer.matched.0))
            .map(|(id, _)| *id)
    }
}
