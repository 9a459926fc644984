//! In which order committed entries are executed.
//!
//! The paper's rule: an entry waits for its dependency, unless the two are on a cycle and the entry is the pilot's. In
//! closed form, with `D(k)` the greatest dependency of the copilot's entries up to `k`: entry `i` of the pilot comes
//! before entry `k` of the copilot exactly if `i <= D(k)`. So only the first entries not yet executed of both logs
//! matter, and as soon as both are committed one of them can be executed.

use super::acceptor::Acceptor;
use super::entry::Commit;
use super::types::{Both, Index, Role, View};
use crate::batch::Batch;

impl Acceptor {
    /// The next entry to execute, if there is one now. `is_executed` says whether all commands of a batch are.
    pub fn next_ready(&self, is_executed: impl Fn(&Batch) -> bool) -> Option<(Role, Index)> {
        Role::BOTH
            .into_iter()
            .map(|role| (role, self.logs[role].executed.next()))
            .find(|(role, index)| self.is_ready(*role, *index, &is_executed))
    }

    fn is_ready(&self, role: Role, index: Index, is_executed: impl Fn(&Batch) -> bool) -> bool {
        let Some(commit) = self.decision(role, index) else {
            return false;
        };
        commit.choice.dep <= self.logs[role.other()].executed
            || (role == Role::Pilot && self.is_first_on_cycle(index))
            || self.waits_for_nothing_new(role, commit, is_executed)
    }

    /// Whether the copilot's next entry is committed and waits for the pilot's entry `index`.
    fn is_first_on_cycle(&self, index: Index) -> bool {
        let next = self.logs[Role::Copilot].executed.next();
        self.decision(Role::Copilot, next)
            .is_some_and(|commit| self.reach.max(commit.choice.dep) >= index)
    }

    /// Null-dependency elimination: whether everything that the entry still waits for can only turn out to be batches
    /// whose commands were all executed before, or no-ops. Those entries keep their place and are executed later.
    fn waits_for_nothing_new(
        &self,
        role: Role,
        commit: &Commit,
        is_executed: impl Fn(&Batch) -> bool,
    ) -> bool {
        let Some((view, seen)) = self.seen[role.other()] else {
            return false;
        };
        if seen < commit.choice.dep {
            return false;
        }
        let executed = self.logs[role.other()].executed;
        executed.until(commit.choice.dep).all(|index| {
            match self.only_batch(role.other(), index, view) {
                Some(batch) => is_executed(batch),
                None => false,
            }
        })
    }

    /// The batch that an entry has if it has any, given that no view after `view` begins before it.
    fn only_batch(&self, role: Role, index: Index, view: View) -> Option<&Batch> {
        let entry = self.logs[role].get(index)?;
        entry
            .vote
            .as_ref()
            .filter(|vote| vote.value.origin == view)
            .map(|vote| &vote.value.batch)
    }

    /// The greatest dependency of the copilot's executed entries.
    pub const fn reach(&self) -> Index {
        self.reach
    }

    /// Counts as executed what another replica has executed; false if that is nothing new.
    ///
    /// All replicas do the same changes in the same order, so of any two states one contains the other's changes. But
    /// what a replica did not wait for is still missing in its log, so that each of two may be further in one log: its
    /// entries that the other one lacks were waited for by nobody, because they change nothing. So both have executed
    /// everything that either has, as soon as both have the state of the one that has made more changes.
    pub fn install(&mut self, executed: &Both<Index>, reach: Index) -> bool {
        let mut is_news = false;
        for role in Role::BOTH {
            if executed[role] > self.logs[role].executed {
                self.logs[role].begin_after(executed[role]);
                is_news = true;
            }
        }
        self.reach = self.reach.max(reach);
        is_news
    }

    /// Whether an entry is decided.
    pub fn is_decided(&self, role: Role, index: Index) -> bool {
        index <= self.logs[role].base() || self.decision(role, index).is_some()
    }

    /// The decision on an entry that is not forgotten.
    pub fn decision(&self, role: Role, index: Index) -> Option<&Commit> {
        self.logs[role].get(index)?.commit.as_ref()
    }

    /// Notes that an entry was executed.
    ///
    /// # Panics
    ///
    /// If it is not the next one of its log.
    pub fn executed(&mut self, role: Role, index: Index) {
        assert_eq!(
            index,
            self.logs[role].executed.next(),
            "{}: entries are executed in log order",
            self.me
        );
        if role == Role::Copilot
            && let Some(commit) = self.decision(role, index)
        {
            self.reach = self.reach.max(commit.choice.dep);
        }
        self.logs[role].executed = index;
    }

    /// The first undecided entry of the other log that keeps a decided entry of `role`'s log waiting, and the last one
    /// up to which it waits.
    pub fn blocked_on(&self, role: Role) -> Option<(Index, Index)> {
        let commit = self.decision(role, self.logs[role].executed.next())?;
        let other = &self.logs[role.other()];
        let first = other
            .executed
            .until(commit.choice.dep)
            .find(|index| self.decision(role.other(), *index).is_none())?;
        Some((first, commit.choice.dep))
    }
}
