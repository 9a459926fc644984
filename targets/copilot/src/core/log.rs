//! One of the two logs of a replica.

use std::collections::VecDeque;

use super::entry::Entry;
use super::types::Index;

/// How far ahead of what is known an index may be; a message beyond is not believed.
const REACH: u64 = 1 << 20;

/// The entries from the oldest that may still be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Log {
    /// Everything up to here is executed and forgotten.
    base: Index,
    entries: VecDeque<Entry>,
    /// The last entry of which something is known.
    known: Index,
    /// Everything up to here is executed.
    pub(super) executed: Index,
    /// Everything up to here is committed.
    pub(super) committed: Index,
}

impl Log {
    /// Everything up to here is executed and forgotten.
    pub const fn base(&self) -> Index {
        self.base
    }

    /// The last index that was ever mentioned.
    pub fn last(&self) -> Index {
        Index(self.base.0 + self.entries.len() as u64)
    }

    /// The last entry of which something is known.
    pub const fn known(&self) -> Index {
        self.known
    }

    /// Everything up to here is executed.
    pub const fn executed(&self) -> Index {
        self.executed
    }

    /// Everything up to here is committed.
    pub const fn committed(&self) -> Index {
        self.committed
    }

    /// The entries after the committed ones.
    pub fn open(&self) -> impl Iterator<Item = &Entry> {
        let committed = self.committed.0.saturating_sub(self.base.0);
        let committed = usize::try_from(committed).unwrap_or(usize::MAX);
        self.entries.iter().skip(committed)
    }

    /// The entry at `index`, if there is one.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.position(index)?)
    }

    fn position(&self, index: Index) -> Option<usize> {
        let position = index.0.checked_sub(self.base.0 + 1)?;
        usize::try_from(position).ok()
    }

    /// The entry at `index`; made if it does not exist. `None` if it is forgotten, or too far ahead to be believed.
    pub(super) fn get_or_make(&mut self, index: Index) -> Option<&mut Entry> {
        let position = self.position(index)?;
        if index.0 > self.last().0 + REACH {
            return None;
        }
        while self.entries.len() <= position {
            self.entries.push_back(Entry::default());
        }
        self.entries.get_mut(position)
    }

    /// Notes that the entry at `index` has changed.
    pub(super) fn touched(&mut self, index: Index) {
        let known = self.get(index).is_some_and(Entry::is_known);
        if known {
            self.known = self.known.max(index);
        }
        while self
            .get(self.committed.next())
            .is_some_and(|entry| entry.commit.is_some())
        {
            self.committed = self.committed.next();
        }
    }

    /// Forgets what is undecided from `start` on.
    pub(super) fn drop_undecided(&mut self, start: Index) {
        let first = start.max(self.base.next());
        for index in first.previous().until(self.last()) {
            if let Some(entry) = self.get_or_make(index)
                && entry.commit.is_none()
            {
                *entry = Entry::default();
            }
        }
        self.known = self
            .base
            .until(self.last())
            .rev()
            .find(|index| self.get(*index).is_some_and(Entry::is_known))
            .unwrap_or(self.base);
    }

    /// Forgets entries up to `index`, which must be executed.
    pub(super) fn truncate(&mut self, index: Index) {
        let until = index.min(self.executed);
        while self.base < until && self.entries.pop_front().is_some() {
            self.base = self.base.next();
        }
    }

    /// Starts over after a state in which everything up to `executed` was executed.
    pub(super) fn begin_after(&mut self, executed: Index) {
        while self.base < executed {
            self.entries.pop_front();
            self.base = self.base.next();
        }
        self.executed = executed;
        self.committed = self.committed.max(executed);
        self.known = self.known.max(executed);
        self.touched(executed);
    }
}
