//! What a replica knew when it stopped.

use super::damage::What;
use super::log::Log;
use super::record::{HardState, LogStart, Record};
use super::wal::Lsn;
use crate::types::Term;

/// What a replica knew when it stopped.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Its term and vote.
    pub hard_state: HardState,
    /// Its log.
    pub log: Log,
    /// Whether it is unknown which term precedes the log: the files of what came before were removed.
    headless: bool,
}

impl Recovered {
    /// Takes the next record, which ends at `end`, and keeps at most `budget` bytes of entries in memory.
    pub(super) fn take(&mut self, record: Record, end: Lsn, budget: usize) {
        match record {
            Record::HardState(state) => self.hard_state = state,
            Record::Start(start) => self.begin_anew(start, false),
            Record::Entries(batch) => {
                let follows = self.log.first_index()..=self.log.last().next();
                if follows.contains(&batch.first()) {
                    self.log.truncate_from(batch.first());
                } else {
                    // Either this is the oldest entry that was kept, or what was kept before it was uncertain then
                    // and has been replaced.
                    let after = batch.first().previous();
                    let term = Term::default();
                    self.begin_anew(LogStart { after, term }, true);
                }
                self.log.append(batch, end);
                self.log.shrink(end, budget);
            }
        }
    }

    fn begin_anew(&mut self, start: LogStart, headless: bool) {
        self.log = Log::starting(start);
        self.headless = headless;
    }

    /// Has the log continue the snapshot, or nothing if there is none. What does not agree with the snapshot was never
    /// committed: the snapshot was received from a leader, and the replica stopped before it could note that. Then the
    /// log begins anew, which is to be noted now.
    ///
    /// # Errors
    ///
    /// There is a gap between the snapshot and the log.
    pub(super) fn continue_from(&mut self, snapshot: LogStart) -> Result<Continued, What> {
        let start = self.log.start();
        if start.after > snapshot.after {
            return Err(What::Gap {
                snapshot: snapshot.after,
                first: self.log.first_index(),
            });
        }
        let mut continued = Continued::AsItIs;
        if start.after == snapshot.after && self.headless {
            self.log.set_start_term(snapshot.term);
        } else if self.log.term_at(snapshot.after) == Some(snapshot.term) {
            self.log.compact(snapshot.after);
        } else {
            self.begin_anew(snapshot, false);
            continued = Continued::Anew;
        }
        self.headless = false;
        Ok(continued)
    }
}

/// How a log continues a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continued {
    /// What it says is part of it.
    AsItIs,
    /// Nothing of what it says is.
    Anew,
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::super::{Batch, BatchBuilder};
    use super::*;
    use crate::types::LogIndex;

    fn batch(term: u64, first: u64, last: u64) -> Batch {
        let mut builder = BatchBuilder::default();
        for _ in first..=last {
            builder.push(|bytes| bytes.put_u64(term));
        }
        builder.finish(Term(term), LogIndex(first))
    }

    /// Replays batches of term, first and last position, and continues a snapshot.
    fn replay(batches: &[(u64, u64, u64)], snapshot: (u64, u64)) -> Result<(u64, Vec<u64>), What> {
        let (mut found, mut end) = (Recovered::default(), Lsn::default());
        for (term, first, last) in batches {
            let batch = batch(*term, *first, *last);
            end = Lsn(end.0 + batch.bytes().len() as u64);
            found.take(Record::Entries(batch), end, usize::MAX);
        }
        let (after, term) = (LogIndex(snapshot.0), Term(snapshot.1));
        found.continue_from(LogStart { after, term })?;
        assert_eq!(found.log.term_at(after), Some(term));
        let mut terms = Vec::new();
        found
            .log
            .visit(LogIndex::ZERO, |_, term, _| terms.push(term.0));
        Ok((found.log.start().after.0, terms))
    }

    #[test]
    fn later_entries_replace_earlier_ones() {
        let batches = [(1, 1, 3), (2, 3, 4), (3, 4, 4)];
        assert_eq!(replay(&batches, (0, 0)), Ok((0, vec![1, 1, 2, 3])));
    }

    #[test]
    fn a_log_continues_the_snapshot() {
        let batches = [(1, 1, 3), (2, 4, 5)];
        assert_eq!(replay(&batches, (2, 1)), Ok((2, vec![1, 2, 2])));
        assert_eq!(replay(&batches, (5, 2)), Ok((5, vec![])));
        // Received, and not noted in the log yet: what contradicts it goes.
        assert_eq!(replay(&batches, (9, 3)), Ok((9, vec![])));
        assert_eq!(replay(&batches, (4, 3)), Ok((4, vec![])));
    }

    #[test]
    fn the_start_of_a_log_may_be_gone() {
        assert_eq!(
            replay(&[(1, 3, 4), (2, 5, 5)], (2, 1)),
            Ok((2, vec![1, 1, 2]))
        );
        // The oldest kept entries had been replaced by earlier positions.
        assert_eq!(replay(&[(1, 7, 9), (2, 4, 5)], (3, 1)), Ok((3, vec![2, 2])));
        assert_eq!(replay(&[(1, 7, 9), (2, 4, 5)], (4, 2)), Ok((4, vec![2])));
        let gap = |snapshot, first| {
            let (snapshot, first) = (LogIndex(snapshot), LogIndex(first));
            Err(What::Gap { snapshot, first })
        };
        assert_eq!(replay(&[(1, 4, 5)], (2, 1)), gap(2, 4));
        assert_eq!(replay(&[(1, 1, 5), (1, 7, 9)], (5, 1)), gap(5, 7));
        assert_eq!(replay(&[(1, 2, 5)], (0, 0)), gap(0, 2));
    }

    #[test]
    fn a_received_snapshot_starts_the_log_anew() {
        let mut found = Recovered::default();
        found.take(Record::Entries(batch(1, 1, 9)), Lsn(1), 0);
        let start = LogStart {
            after: LogIndex(5),
            term: Term(2),
        };
        found.take(Record::Start(start), Lsn(2), 0);
        found.take(Record::Entries(batch(3, 6, 6)), Lsn(3), 0);
        assert_eq!(found.continue_from(start), Ok(Continued::AsItIs));
        assert_eq!((found.log.start(), found.log.last()), (start, LogIndex(6)));
    }
}
