//! When a pilot takes over entries of the other one.

use std::rc::Rc;

use depfast::Instant;

use super::Copilot;
use super::state::State;
use crate::core::{Index, Role};

/// How many entries are taken over at the same time.
const AT_ONCE: u64 = 256;
/// A pilot that is found to be slow again and again is awaited for this part of the takeover time at least.
const LEAST_PATIENCE: u32 = 16;

impl Copilot {
    /// As long as this replica is a pilot: recovers the entries of the other log for which a decided entry of
    /// its own has waited for the takeover time. Each time that it had to, it waits half as long the next time, and each
    /// time that it had not to, twice as long again: a pilot that stays slow costs its time once, not with each entry. It
    /// always waits as long as a takeover takes: one that is well again, on slow disks or far away, decides by itself
    /// in that time.
    pub(crate) async fn take_over_forever(self: Rc<Self>, role: Role) {
        let takeover = self.timing.takeover;
        let mut patience = takeover;
        let mut cost = takeover / LEAST_PATIENCE;
        loop {
            self.moved
                .wait("blocked entries", |()| self.is_blocked(role))
                .await;
            let before = self.blocked_at(role);
            let Some((executed, _)) = before else {
                continue;
            };
            let decided = self.decided_at(role, executed.next());
            let due = decided + patience;
            self.env.timeout_at("takeover time", due).await;
            if self.blocked_at(role) != before {
                patience = (patience * 2).min(takeover);
                continue;
            }
            patience = (patience / 2).clamp(cost, takeover);
            let begun = self.env.now();
            let (blocked, view) = {
                let state = self.state.borrow();
                let view = state.core.standing(role.other()).current;
                (undecided(&state, role), view)
            };
            for index in blocked {
                let this = Rc::clone(&self);
                self.env
                    .spawn(async move { this.recover(role.other(), index, view).await });
            }
            self.moved
                .wait("taken over entries", |()| self.blocked_at(role) != before)
                .await;
            let took = self.env.now().since(begun);
            // The least of late: some are delayed by other things.
            cost = took.min((cost * 7 + took) / 8);
            cost = cost.clamp(takeover / LEAST_PATIENCE, takeover);
        }
    }

    fn is_blocked(&self, role: Role) -> bool {
        self.blocked_at(role).is_some()
    }

    fn decided_at(&self, role: Role, index: Index) -> Instant {
        let state = self.state.borrow();
        let decided = state.decided[role].get(&index);
        decided.copied().unwrap_or_else(|| self.env.now())
    }

    /// The last entry before the one that waits, and the first one that it waits for, if that is this replica's to take
    /// over: as pilot of the log that waits, or as pilot of the other one, which an earlier view has led to wait for entries
    /// that this one has not got to.
    fn blocked_at(&self, role: Role) -> Option<(Index, Index)> {
        let state = self.state.borrow();
        let (first, _) = state.core.blocked_on(role)?;
        let other = state.pilots[role.other()].as_ref();
        let never_proposed = other.is_some_and(|pilot| first > pilot.last);
        let is_to_act = state.pilots[role].is_some() || never_proposed;
        is_to_act.then(|| (state.core.log(role).executed(), first))
    }
}

fn undecided(state: &State, role: Role) -> Vec<Index> {
    let Some((first, last)) = state.core.blocked_on(role) else {
        return Vec::new();
    };
    let last = last.min(Index(first.0 + AT_ONCE));
    first
        .previous()
        .until(last)
        .filter(|index| !state.core.is_decided(role.other(), *index))
        .collect()
}
