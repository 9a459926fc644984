//! When a pilot takes over entries of the other one.

use std::rc::Rc;

use depfast::Instant;

use super::Copilot;
use super::state::State;
use crate::core::{Index, Role};

/// How many entries are taken over at the same time.
const AT_ONCE: u64 = 256;
/// Of a pilot that is found to be slow again and again, this part of the takeover time is awaited at least: long enough
/// for one that is well again to decide by itself.
const LEAST_PATIENCE: u32 = 16;

impl Copilot {
    /// As long as this replica is pilot of `role`: recovers the entries of the other log for which a decided entry of
    /// its own has waited for the takeover time. Each time that it had to, it waits half as long the next time, and each
    /// time that it had not to, twice as long again: a pilot that stays slow costs its time once, not with each entry.
    pub(crate) async fn take_over_forever(self: Rc<Self>, role: Role) {
        let takeover = self.timing.takeover;
        let mut patience = takeover;
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
            patience = (patience / 2).max(takeover / LEAST_PATIENCE);
            let blocked = {
                let state = self.state.borrow();
                undecided(&state, role)
            };
            for index in blocked {
                let this = Rc::clone(&self);
                self.env
                    .spawn(async move { this.recover(role.other(), index).await });
            }
            self.moved
                .wait("taken over entries", |()| self.blocked_at(role) != before)
                .await;
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

    /// The last entry before the one that waits, and the first one that it waits for.
    fn blocked_at(&self, role: Role) -> Option<(Index, Index)> {
        let state = self.state.borrow();
        state.pilots[role].as_ref()?;
        let (first, _) = state.core.blocked_on(role)?;
        Some((state.core.log(role).executed(), first))
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
