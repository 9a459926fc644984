//! How a role gets a new pilot when its pilot is silent. The other role goes on meanwhile.

use std::rc::Rc;
use std::time::Duration;

use depfast::{Outcome, QuorumEvent, Responder, Verdict};

use super::Copilot;
use crate::core::{Index, Refusal, ReplicaId, Role, View};
use crate::message::{VIEW, ViewReply, ViewRequest};
use crate::wire::Wire;

impl Copilot {
    /// Watches one role and seeks it when its pilot is silent.
    pub(crate) async fn watch_forever(self: Rc<Self>, role: Role) {
        loop {
            self.suspect(role).await;
            // It can have one role, and whoever asks for the other one in vain deposes somebody.
            if !std::mem::replace(&mut self.state.borrow_mut().seeking, true) {
                if self.seek(role, true).await.is_some()
                    && let Some((number, start)) = self.seek(role, false).await
                {
                    self.begin(role, number, start);
                }
                self.state.borrow_mut().seeking = false;
            }
            // Whoever else seeks the role should not be met again.
            let pause = self.timing.heartbeat..self.timing.suspicion / 2;
            let pause = self.env.random_duration(&pause);
            self.env.timeout("next attempt", pause).await;
        }
    }

    /// Returns when the role's pilot was silent for long enough and this replica is free to succeed it.
    async fn suspect(&self, role: Role) {
        loop {
            let deadline = self.state.borrow().contact[role] + self.timing.suspicion;
            let now = self.env.now();
            let at_least = now + self.timing.heartbeat;
            self.env
                .timeout_at("suspicion", deadline.max(at_least))
                .await;
            // A process that was off the CPU finds its deadline passed while the pilot's messages still wait to be
            // read: it reads first.
            self.env
                .timeout("suspicion grace", self.timing.heartbeat)
                .await;
            if !self.is_served(role) && self.is_free() {
                return;
            }
        }
    }

    /// Whether this replica hears the role's pilot, or is it.
    fn is_served(&self, role: Role) -> bool {
        let state = self.state.borrow();
        let silence = self.env.now().since(state.contact[role]);
        state.pilots[role].is_some() || silence < self.timing.suspicion
    }

    /// A pilot does not seek the other role, so that two replicas have them.
    fn is_free(&self) -> bool {
        let state = self.state.borrow();
        Role::BOTH
            .into_iter()
            .all(|role| state.pilots[role].is_none())
    }

    /// Asks a majority to let this replica have the role. Returns the view's number and where its entries begin.
    async fn seek(self: &Rc<Self>, role: Role, trial: bool) -> Option<(u64, Index)> {
        let (number, own) = {
            let mut state = self.state.borrow_mut();
            let standing = *state.core.standing(role);
            let number = standing.promised.0.max(standing.current.number) + 1;
            let own = if trial {
                state.core.log(role).last().next()
            } else {
                state.core.promise_view(role, (number, self.me)).ok()?
            };
            self.settle(&mut state);
            (number, own)
        };
        let request = ViewRequest {
            role,
            number,
            trial,
        };
        let request = request.encode();
        let promises = QuorumEvent::majority(&self.env, self.peers.len() + 1);
        let start = Rc::new(std::cell::Cell::new(own));
        for peer in &self.peers {
            let (this, start) = (Rc::clone(self), Rc::clone(&start));
            let call = self.rpc.call(*peer, VIEW, vec![request.clone()]);
            promises.add(call, move |result| {
                let reply = result.as_ref().ok().cloned();
                match reply.and_then(Result::<ViewReply, Refusal>::decode) {
                    Some(Ok(next)) => {
                        start.set(start.get().max(next));
                        Verdict::Accept
                    }
                    Some(Err(refusal)) => {
                        this.heed(role, Index::ZERO, refusal);
                        Verdict::Reject
                    }
                    None => Verdict::Reject,
                }
            });
        }
        self.wal.flushed("own view promise").await;
        promises.vote(self.me, Verdict::Accept);
        let patience = self.timing.suspicion.max(Duration::from_millis(10));
        let outcome = promises.wait_for("majority for a view", patience).await;
        (outcome == Outcome::Ready).then(|| (number, start.get()))
    }

    /// Takes the role: recovers what earlier pilots left undecided and proposes after it.
    fn begin(self: &Rc<Self>, role: Role, number: u64, start: Index) {
        let mut state = self.state.borrow_mut();
        let standing = state.core.standing(role);
        let is_mine = standing.promised == (number, self.me) && standing.current.number < number;
        let roles_free = Role::BOTH
            .into_iter()
            .all(|role| state.pilots[role].is_none());
        if !is_mine || !roles_free {
            return;
        }
        let view = View {
            number,
            pilot: self.me,
            start,
        };
        let _it_is_later = state.core.enter(role, view);
        self.serve_as_pilot(&mut state, role);
        self.settle(&mut state);
        let left: Vec<_> = state
            .core
            .log(role)
            .committed()
            .until(start.previous())
            .filter(|index| !state.core.is_decided(role, *index))
            .collect();
        drop(state);
        for index in left {
            let this = Rc::clone(self);
            self.env
                .spawn(async move { this.recover(role, index, view).await });
        }
    }

    pub(crate) fn on_view_request(
        &self,
        from: ReplicaId,
        request: ViewRequest,
        respond: Responder,
    ) {
        let ViewRequest {
            role,
            number,
            trial,
        } = request;
        let served = self.is_served(role);
        let mut state = self.state.borrow_mut();
        let standing = *state.core.standing(role);
        let reply: Result<ViewReply, Refusal> = if trial && served {
            Err(Refusal::View(standing))
        } else if trial {
            Ok(state.core.log(role).last().next())
        } else {
            state.core.promise_view(role, (number, from))
        };
        self.settle(&mut state);
        drop(state);
        self.promise(respond, reply.encode());
    }
}
