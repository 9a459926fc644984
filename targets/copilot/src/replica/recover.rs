//! Fast takeover: how a replica decides an entry that its pilot does not decide.

use std::cell::RefMut;
use std::rc::Rc;
use std::time::Duration;

use super::round::Round;
use super::{Copilot, RESEND_LIMIT};
use crate::core::{Index, Report, Role, View, choose};
use crate::message::{PREPARE, Prepare};
use crate::wire::Wire;

impl Copilot {
    /// Recovers an entry of a view if nobody decides it within the takeover time and some more.
    pub(crate) fn recover_soon(self: &Rc<Self>, role: Role, index: Index, view: View) {
        if !self.is_to_recover(role, index, view) {
            return;
        }
        let (this, takeover) = (Rc::clone(self), self.timing.takeover);
        self.env.spawn(async move {
            let pause = takeover + this.env.random_duration(&(Duration::ZERO..takeover));
            this.env.timeout("others' decision", pause).await;
            this.recover(role, index, view).await;
        });
    }

    /// Recovers an entry of a view: finds out what may have been chosen, has it accepted, and makes it known.
    pub(crate) async fn recover(self: &Rc<Self>, role: Role, index: Index, view: View) {
        let place = (role, index);
        let recovering = || RefMut::map(self.state.borrow_mut(), |state| &mut state.recovering);
        let known = recovering().get(&place).copied();
        if known >= Some(view) {
            return;
        }
        // An attempt of an earlier view ends when it sees that; it may sleep for long.
        recovering().insert(place, view);
        let goes_on = || {
            let is_the_last = recovering().get(&place) == Some(&view);
            is_the_last && self.is_to_recover(role, index, view)
        };
        let mut backoff = self.timing.takeover;
        while goes_on() {
            self.try_to_recover(role, index).await;
            if !goes_on() {
                break;
            }
            // Another one may be at it, too: whoever waits longer finds it decided.
            let pause = self.env.random_duration(&(Duration::ZERO..backoff));
            self.env.timeout("recovery backoff", backoff + pause).await;
            backoff = (backoff * 2).min(RESEND_LIMIT);
        }
        if recovering().get(&place) == Some(&view) {
            recovering().remove(&place);
        }
    }

    /// Whether an entry is still undecided, and somebody may miss its decision. A later view begins anew with the entries
    /// after its beginning: what earlier ones had there is nobody's any more, and a decision would only be in its pilot's
    /// way.
    fn is_to_recover(&self, role: Role, index: Index, view: View) -> bool {
        let state = self.state.borrow();
        if state.core.is_decided(role, index) {
            return false;
        }
        let current = state.core.standing(role).current;
        let blocked = state.core.blocked_on(role.other());
        let is_waited_for = blocked.is_some_and(|(first, last)| first <= index && index <= last);
        current == view || index < current.start || is_waited_for
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
