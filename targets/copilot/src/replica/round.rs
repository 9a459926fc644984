//! A question to all peers, asked again until enough have answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use depfast::event::RpcResult;
use depfast::{Outcome, QuorumEvent, Verdict};

use super::{Copilot, RESEND, RESEND_LIMIT};
use crate::core::{Index, Refusal, ReplicaId, Role, View};
use crate::wire::Wire;

type Judge<T> = Box<dyn Fn(ReplicaId, Option<&T>)>;

/// An attempt of one step at deciding an entry.
pub(crate) struct Round<T> {
    copilot: Rc<Copilot>,
    role: Role,
    index: Index,
    view: View,
    method: u8,
    request: Bytes,
    /// What was answered, by whom.
    pub(crate) answers: RefCell<Vec<(ReplicaId, T)>>,
    /// Whether enough have answered to go on.
    pub(crate) majority: QuorumEvent,
    judge: Judge<T>,
    /// Whether somebody has promised a higher attempt, whose proposer may be dead: those who are left may be too few.
    outrun: Cell<bool>,
}

impl<T: Wire + 'static> Round<T> {
    /// Asks all peers. `judge` is told each answer; nothing stands for a refusal or a lost call.
    pub(crate) fn ask(
        copilot: &Rc<Copilot>,
        (role, index, view): (Role, Index, View),
        method: u8,
        request: Bytes,
        judge: impl Fn(ReplicaId, Option<&T>) + 'static,
    ) -> Rc<Self> {
        let round = Rc::new(Self {
            copilot: Rc::clone(copilot),
            role,
            index,
            view,
            method,
            request,
            answers: RefCell::default(),
            majority: QuorumEvent::majority(&copilot.env, copilot.peers.len() + 1),
            judge: Box::new(judge),
            outrun: Cell::new(false),
        });
        round.ask_unanswered();
        round
    }

    fn ask_unanswered(self: &Rc<Self>) {
        for peer in &self.copilot.peers {
            if self.has_answer_of(*peer) {
                continue;
            }
            let (round, peer) = (Rc::clone(self), *peer);
            self.copilot
                .rpc
                .call(peer, self.method, vec![self.request.clone()])
                .observe(move |result| round.take(peer, &result));
        }
    }

    fn has_answer_of(&self, member: ReplicaId) -> bool {
        let answers = self.answers.borrow();
        answers.iter().any(|(known, _)| *known == member)
    }

    fn take(&self, peer: ReplicaId, result: &RpcResult) {
        let answer = result
            .as_ref()
            .ok()
            .and_then(|bytes| Result::<T, Refusal>::decode(bytes.clone()));
        match answer {
            Some(Ok(answer)) => self.add(peer, answer),
            Some(Err(refusal)) => {
                let outrun = matches!(refusal, Refusal::Promised(_));
                self.outrun.set(self.outrun.get() || outrun);
                self.copilot.heed(self.role, self.index, refusal);
                (self.judge)(peer, None);
                self.majority.vote(peer, Verdict::Reject);
            }
            None => (self.judge)(peer, None),
        }
    }

    /// Counts an answer, this replica's own included.
    pub(crate) fn add(&self, member: ReplicaId, answer: T) {
        if self.has_answer_of(member) {
            return;
        }
        (self.judge)(member, Some(&answer));
        self.answers.borrow_mut().push((member, answer));
        self.majority.vote(member, Verdict::Accept);
    }

    /// Waits until a majority has answered; false if it refuses or stays away for a while after somebody's higher promise,
    /// or if the entry is not to be decided here any more.
    pub(crate) async fn majority(self: &Rc<Self>, label: &'static str) -> bool {
        let mut delay = RESEND;
        loop {
            match self.majority.wait_for(label, delay).await {
                Outcome::Ready => return true,
                Outcome::Fail => return false,
                Outcome::Timeout if self.outrun.get() || self.is_over() => return false,
                Outcome::Timeout => self.ask_unanswered(),
            }
            delay = (delay * 2).min(RESEND_LIMIT);
        }
    }

    fn is_over(&self) -> bool {
        let state = self.copilot.state.borrow();
        state.core.standing(self.role).current != self.view
            || state.core.is_decided(self.role, self.index)
    }
}
