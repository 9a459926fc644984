//! How a pilot makes entries of its commands: ping-pong batching.
//!
//! The two pilots take turns. Whoever has just seen the other's proposal has the ball and may propose at once; each
//! proposal then depends on the other's last one, so all agree and the fast path is taken. A pilot without the ball waits
//! for it a millisecond, also when it was idle: the same commands are on their way to the other one, and two proposals at
//! the same time would be in each other's way. If that was in vain it goes on by itself.

use std::rc::Rc;
use std::time::Duration;

use depfast::Instant;

use super::Copilot;
use super::state::{Pilot, State};
use crate::batch::BatchBuilder;
use crate::core::{Index, Proposal, Role, View};

/// An entry has no more than this, or one group: it has to reach the others as one message.
const BATCH_BYTES: usize = 1 << 20;

impl Copilot {
    /// Starts to serve as pilot of a role in the role's current view.
    pub(crate) fn serve_as_pilot(self: &Rc<Self>, state: &mut State, role: Role) {
        let view = state.core.standing(role).current;
        let head_start = match role {
            Role::Pilot => Duration::ZERO,
            // The pilot goes first.
            Role::Copilot => self.timing.batching * 2,
        };
        state.pilots[role] = Some(Pilot {
            queue: BatchBuilder::default(),
            ball: role == Role::Pilot,
            patience: self.env.now() + head_start,
            queued: self.env.now(),
            last: view.start.previous(),
        });
        // What keeps this log waiting is this replica's to take over now, even if nothing else happens any more.
        self.moved.set(());
        let this = Rc::clone(self);
        self.env
            .spawn(async move { this.propose_while_pilot(role, view).await });
    }

    async fn propose_while_pilot(self: Rc<Self>, role: Role, view: View) {
        loop {
            self.work[role]
                .wait("commands", |()| {
                    self.with_pilot(role, view, |pilot| !pilot.queue.is_empty())
                        .unwrap_or(true)
                })
                .await;
            let batching = self.timing.batching;
            let patience = |pilot: &Pilot| pilot.patience.max(pilot.queued + batching);
            let Some(patience) = self.with_pilot(role, view, patience) else {
                return;
            };
            self.wait_for_ball(role, view, patience).await;
            let Some((proposal, left_out)) = self.propose(role, view) else {
                if self.with_pilot(role, view, |_| ()).is_none() {
                    return;
                }
                continue;
            };
            for index in left_out {
                self.recover_soon(role, index, view);
            }
            let this = Rc::clone(&self);
            self.env
                .spawn(async move { this.decide(role, proposal).await });
        }
    }

    async fn wait_for_ball(&self, role: Role, view: View, patience: Instant) {
        let turn = self.work[role].wait("the ball", |()| {
            self.with_pilot(role, view, |pilot| pilot.ball)
                .unwrap_or(true)
        });
        let limit = patience.since(self.env.now());
        if !limit.is_zero() {
            let _either_way = self.env.within("batching time", limit, turn).await;
        }
    }

    /// Proposes what is queued, after everything that anybody has mentioned. The undecided entries that are left out
    /// thereby are nobody's: whoever mentioned them may be gone.
    fn propose(&self, role: Role, view: View) -> Option<(Proposal, Vec<Index>)> {
        let now = self.env.now();
        let mut state = self.state.borrow_mut();
        let State {
            core,
            machine,
            pilots,
            ..
        } = &mut *state;
        if core.standing(role).current != view {
            return None;
        }
        let pilot = pilots[role].as_mut()?;
        let batch = pilot.queue.take(BATCH_BYTES);
        if machine.is_batch_executed(&batch) {
            return None;
        }
        pilot.ball = false;
        pilot.patience = now + self.timing.batching;
        let proposal = core.propose(role, batch);
        let index = proposal.as_ref().map_or(pilot.last, |it| it.index);
        let left_out = pilot.last.until(index.previous());
        pilot.last = index;
        let left_out = left_out.filter(|index| !core.is_decided(role, *index));
        let left_out = left_out.collect();
        self.settle(&mut state);
        Some((proposal?, left_out))
    }

    fn with_pilot<R>(&self, role: Role, view: View, look: impl FnOnce(&Pilot) -> R) -> Option<R> {
        let state = self.state.borrow();
        if state.core.standing(role).current != view {
            return None;
        }
        state.pilots[role].as_ref().map(look)
    }

    /// The other pilot has proposed: it is this one's turn.
    pub(crate) fn take_ball(&self, state: &mut State, role: Role) {
        if let Some(pilot) = &mut state.pilots[role]
            && !std::mem::replace(&mut pilot.ball, true)
            && !pilot.queue.is_empty()
        {
            self.work[role].set(());
        }
    }
}
