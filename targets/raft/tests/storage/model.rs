//! What a log should be, to compare with what is found on disk.

use std::fmt;

use depfast_raft::storage::{Batch, BatchBuilder, HardState, LogStart, Recovered};
use depfast_raft::{LogIndex, Term};

/// An entry: its term, and what it says.
pub(crate) type Entry = (u64, Vec<u8>);

/// Term, vote and log after some number of records.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) hard_state: HardState,
    pub(crate) start: LogStart,
    pub(crate) entries: Vec<Entry>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HardState { term, voted_for } = self.hard_state;
        let LogStart { after, term: of } = self.start;
        write!(f, "{term} voted {voted_for:?}, after {after}@{of}:")?;
        for (term, entry) in &self.entries {
            let number = entry.split(|byte| *byte == b'.').next();
            let number = String::from_utf8_lossy(number.unwrap_or_default());
            write!(f, " {number}@{term}")?;
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn last(&self) -> u64 {
        self.start.after.0 + self.entries.len() as u64
    }

    pub(crate) fn last_term(&self) -> u64 {
        let last = self.entries.last().map(|(term, _)| *term);
        last.unwrap_or(self.start.term.0)
    }

    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        match index.checked_sub(self.start.after.0)? {
            0 => Some(self.start.term.0),
            position => Some(self.entries.get(usize::try_from(position).unwrap() - 1)?.0),
        }
    }

    /// Removes what is at `index` and after it.
    pub(crate) fn truncate_from(&mut self, index: u64) {
        let kept = index - self.start.after.0 - 1;
        self.entries.truncate(usize::try_from(kept).unwrap());
    }

    /// Continues a snapshot, received or not.
    pub(crate) fn continue_from(&mut self, snapshot: LogStart) {
        let agrees = self.term_at(snapshot.after.0) == Some(snapshot.term.0);
        let covered = snapshot.after.0.saturating_sub(self.start.after.0);
        if agrees {
            self.entries.drain(..usize::try_from(covered).unwrap());
        } else {
            self.entries.clear();
        }
        self.start = snapshot;
    }

    pub(crate) fn of(found: &Recovered) -> Self {
        let mut entries = Vec::new();
        found.log.visit(LogIndex::ZERO, |_, term, bytes| {
            entries.push((term.0, bytes.expect("all is in memory").to_vec()));
        });
        Self {
            hard_state: found.hard_state,
            start: found.log.start(),
            entries,
        }
    }
}

/// A batch of entries that no other one is equal to.
pub(crate) fn batch(term: u64, first: u64, entries: &[Entry]) -> Batch {
    let mut builder = BatchBuilder::default();
    for (_, entry) in entries {
        builder.push(|bytes| bytes.extend_from_slice(entry));
    }
    builder.finish(Term(term), LogIndex(first))
}
