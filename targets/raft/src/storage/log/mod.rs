//! The log: where every batch lies, and the latest of them in memory.

mod stretch;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::batch::Batch;
use super::record::LogStart;
use super::wal::Lsn;
use crate::types::{LogIndex, Term};
pub use stretch::Stretch;

/// The log of one replica: for each batch its place and, for the latest ones, its bytes.
#[derive(Debug, Default)]
pub struct Log {
    start: LogStart,
    slots: VecDeque<Slot>,
    /// How many of the first slots are only on disk.
    on_disk: usize,
    /// Bytes of the batches in memory.
    in_memory: usize,
    /// Where the log file says the last time that something before is not part of the log any more.
    settled: Lsn,
}

/// Entries were removed, and the record that replaces them is still to come.
const UNSETTLED: Lsn = Lsn(u64::MAX);

impl Slot {
    const fn start(&self) -> Lsn {
        Lsn(self.end.0 - self.length as u64)
    }
}

/// One batch, or what a later leader has left of it.
#[derive(Debug)]
struct Slot {
    term: Term,
    first: LogIndex,
    last: LogIndex,
    /// The place after its record in the log file.
    end: Lsn,
    /// The length of that record.
    length: usize,
    batch: Option<Batch>,
}

impl Log {
    /// An empty log.
    pub fn starting(start: LogStart) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }

    /// What precedes the first entry.
    pub const fn start(&self) -> LogStart {
        self.start
    }

    /// The position of the first entry; of an empty log, where it would be.
    pub const fn first_index(&self) -> LogIndex {
        self.start.after.next()
    }

    /// The position of the last entry; of an empty log, that of its [start](Self::start).
    pub fn last(&self) -> LogIndex {
        self.slots.back().map_or(self.start.after, |slot| slot.last)
    }

    /// The term of the entry at [`last`](Self::last).
    pub fn last_term(&self) -> Term {
        self.slots.back().map_or(self.start.term, |slot| slot.term)
    }

    /// The term of the entry at `index`, that of the start included; `None` before it and beyond the end.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.start.after {
            return Some(self.start.term);
        }
        Some(self.slots[self.holder(index)?].term)
    }

    /// Says where the log file says that it begins anew.
    pub(super) const fn settle(&mut self, end: Lsn) {
        self.settled = end;
    }

    /// Up to where the log must be durable before files can go that it needs no more: until then they are what
    /// recovery finds.
    pub(super) const fn settled(&self) -> Lsn {
        self.settled
    }

    /// How many bytes its records take.
    pub(super) fn bytes(&self) -> u64 {
        self.slots.iter().map(|slot| slot.length as u64).sum()
    }

    /// Says what precedes the log, which was unknown.
    pub(super) const fn set_start_term(&mut self, term: Term) {
        self.start.term = term;
    }

    /// The place in the log file from which on it is needed; `None` if nothing of it is.
    pub(super) fn oldest(&self) -> Option<Lsn> {
        self.slots.front().map(Slot::start)
    }

    /// Forgets the entries up to `index`, which must be in the log or its start; a snapshot must cover them.
    pub(super) fn compact(&mut self, index: LogIndex) {
        let Some(term) = self.term_at(index) else {
            return;
        };
        self.start = LogStart { after: index, term };
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.last <= index) {
            self.on_disk = self.on_disk.saturating_sub(1);
            self.in_memory -= slot.batch.map_or(0, |batch| batch.bytes().len());
        }
        let Some(slot) = self.slots.front_mut().filter(|slot| slot.first <= index) else {
            return;
        };
        slot.first = index.next();
        if let Some(batch) = slot.batch.take() {
            let kept = batch.starting_at(slot.first);
            self.in_memory = self.in_memory - batch.bytes().len() + kept.bytes().len();
            slot.batch = Some(kept);
        }
    }

    /// The first position in the log whose entry has the same term as the one at `index`.
    pub fn first_of_term_at(&self, index: LogIndex) -> LogIndex {
        let Some(holder) = self.holder(index) else {
            return self.last().next();
        };
        let term = self.slots[holder].term;
        let first = self.slots.partition_point(|slot| slot.term < term);
        self.slots[first].first
    }

    /// Which slot holds `index`.
    fn holder(&self, index: LogIndex) -> Option<usize> {
        if index > self.last() || index <= self.start.after {
            return None;
        }
        // Most questions are about the last batch.
        let last = self.slots.len() - 1;
        if self.slots[last].first <= index {
            return Some(last);
        }
        Some(self.slots.partition_point(|slot| slot.last < index))
    }

    /// Appends a batch that begins right after the end; its record ends at `end` in the log file.
    ///
    /// # Panics
    ///
    /// If it does not begin there.
    pub fn append(&mut self, batch: Batch, end: Lsn) {
        assert_eq!(batch.first(), self.last().next(), "a log has no holes");
        let (term, first, last, length) = (
            batch.term(),
            batch.first(),
            batch.last(),
            batch.bytes().len(),
        );
        self.in_memory += length;
        if self.settled == UNSETTLED {
            self.settled = end;
        }
        self.slots.push_back(Slot {
            term,
            first,
            last,
            end,
            length,
            batch: Some(batch),
        });
    }

    /// Removes the entry at `index` and all after it.
    pub fn truncate_from(&mut self, index: LogIndex) {
        if index <= self.last() {
            self.settled = UNSETTLED;
        }
        while self.slots.back().is_some_and(|slot| slot.first >= index) {
            if let Some(Slot {
                batch: Some(batch), ..
            }) = self.slots.pop_back()
            {
                self.in_memory -= batch.bytes().len();
            }
        }
        self.on_disk = self.on_disk.min(self.slots.len());
        let Some(slot) = self.slots.back_mut().filter(|slot| slot.last >= index) else {
            return;
        };
        slot.last = index.previous();
        if let Some(batch) = slot.batch.take() {
            let kept = batch.ending_before(index);
            self.in_memory = self.in_memory - batch.bytes().len() + kept.bytes().len();
            slot.batch = Some(kept);
        }
    }

    /// Forgets the bytes of the oldest batches until at most `budget` are in memory, but none that are not `durable`.
    pub fn shrink(&mut self, durable: Lsn, budget: usize) {
        while self.in_memory > budget {
            let Some(slot) = self
                .slots
                .get_mut(self.on_disk)
                .filter(|slot| slot.end <= durable)
            else {
                return;
            };
            if let Some(batch) = slot.batch.take() {
                self.in_memory -= batch.bytes().len();
            }
            self.on_disk += 1;
        }
    }

    /// The part of `batch` that the log lacks, if any, and where it begins. Entries that contradict it are to be
    /// removed from there on.
    pub fn missing(&self, batch: &Batch) -> Option<LogIndex> {
        // What a snapshot covers is committed: nobody contradicts it.
        let mut index = batch.first().max(self.first_index());
        while index <= batch.last() {
            let Some(holder) = self.holder(index) else {
                return Some(index);
            };
            let held = &self.slots[holder];
            if held.term != batch.term() {
                return Some(index);
            }
            index = held.last.next();
        }
        None
    }

    /// Calls `see` with each entry after `after`, and its bytes if they are in memory.
    pub fn visit(&self, after: LogIndex, mut see: impl FnMut(LogIndex, Term, Option<&[u8]>)) {
        let begin = self.slots.partition_point(|slot| slot.last <= after);
        for slot in self.slots.range(begin..) {
            let mut entries = slot.batch.as_ref().map(Batch::entries);
            for index in slot.first.0..=slot.last.0 {
                let entry = entries.as_mut().and_then(Iterator::next);
                if index > after.0 {
                    see(LogIndex(index), slot.term, entry);
                }
            }
        }
    }
}
