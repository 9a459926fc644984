//! Fast takeover: how a replica decides an entry that its pilot does not decide.

use std::rc::Rc;
use std::time::Duration;

use super::round::Round;
use super::{Copilot, RESEND_LIMIT};
use crate::core::{Index, Report, Role, choose};
use crate::message::{PREPARE, Prepare};
use crate::wire::Wire;

impl Copilot {
    /// Recovers an entry if nobody decides it within the takeover time and some more.
    pub(crate) fn recover_soon(self: &Rc<Self>, role: Role, index: Index) {
        if self.state.borrow().core.is_decided(role, index) {
            return;
        }
        let (this, takeover) = (Rc::clone(self), self.timing.takeover);
        self.env.spawn(async move {
            let pause = takeover + this.env.random_duration(&(Duration::ZERO..takeover));
            this.env.timeout("others' decision", pause).await;
            this.recover(role, index).await;
        });
    }

    /// Recovers an entry: finds out what may have been chosen, has it accepted, and makes it known.
    pub(crate) async fn recover(self: &Rc<Self>, role: Role, index: Index) {
        if !self.state.borrow_mut().recovering.insert((role, index)) {
            return;
        }
        let mut backoff = self.timing.takeover;
        while !self.state.borrow().core.is_decided(role, index) {
            self.try_to_recover(role, index).await;
            if self.state.borrow().core.is_decided(role, index) {
                break;
            }
            // Another one may be at it, too: whoever waits longer finds it decided.
            let pause = self.env.random_duration(&(Duration::ZERO..backoff));
            self.env.timeout("recovery backoff", backoff + pause).await;
            backoff = (backoff * 2).min(RESEND_LIMIT);
        }
        self.state.borrow_mut().recovering.remove(&(role, index));
    }

    async fn try_to_recover(self: &Rc<Self>, role: Role, index: Index) {
        let (ballot, own) = {
            let mut state = self.state.borrow_mut();
            let ballot = state.core.next_ballot(role, index);
            let own = state.core.prepare(role, index, ballot);
            self.settle(&mut state);
            (ballot, own)
        };
        let Ok(own) = own else { return };
        let request = Prepare {
            role,
            index,
            ballot,
        };
        let place = (role, index, ballot.view);
        let round = Round::<Report>::ask(self, place, PREPARE, request.encode(), |_, _| {});
        self.wal.flushed("own promise").await;
        round.add(self.me, own);
        if !round.majority("majority of promises").await {
            return;
        }
        let (choice, dep_view) = {
            let state = self.state.borrow();
            let choice = choose(state.core.quorums(), &round.answers.borrow());
            (choice, state.core.standing(role.other()).current)
        };
        self.have_accepted(role, index, ballot, choice, dep_view)
            .await;
    }
}
