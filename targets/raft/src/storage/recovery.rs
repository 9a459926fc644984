//! What a log file says.

use bytes::Bytes;

use super::log::Log;
use super::record::{HardState, LogStart, Record};
use super::wal::Lsn;
use crate::types::{LogIndex, Term};

/// What a replica knew when it stopped.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Its term and vote.
    pub hard_state: HardState,
    /// Its log.
    pub log: Log,
    /// The length of the file's sound part.
    pub length: u64,
    /// Whether it is unknown which term precedes the log: what the file began with once was removed from it.
    headless: bool,
}

impl Recovered {
    /// Takes the records at the front of `bytes`, which follow what was taken before, and leaves the rest, which may
    /// be the beginning of a record. Stops for good at a record that is damaged: there the last write was torn.
    ///
    /// Whatever a replica promised was flushed before, so it lies in front of that place.
    pub fn take(&mut self, bytes: &mut Bytes, budget: usize) {
        while let Some(record) = Record::take(bytes) {
            let end = Lsn(self.length + record.length() as u64);
            match record {
                Record::HardState(state) => self.hard_state = state,
                Record::Start(start) => self.begin_anew(start, false),
                Record::Entries(batch) => {
                    let follows = self.log.first_index()..=self.log.last().next();
                    if follows.contains(&batch.first()) {
                        self.log.truncate_from(batch.first());
                    } else {
                        // Either this is the oldest entry that was kept, or what was kept before it was uncertain
                        // then and has been replaced.
                        let after = batch.first().previous();
                        let term = Term::default();
                        self.begin_anew(LogStart { after, term }, true);
                    }
                    self.log.append(batch, end);
                    self.log.shrink(end, budget);
                }
            }
            self.length = end.0;
        }
    }

    fn begin_anew(&mut self, start: LogStart, headless: bool) {
        self.log = Log::starting(start);
        self.headless = headless;
    }

    /// Has the log continue the snapshot, or nothing if there is none. What does not agree with the snapshot was never
    /// committed: the snapshot was received from a leader, and the replica stopped before it could note that.
    ///
    /// # Errors
    ///
    /// There is a gap between the snapshot and the log.
    pub(super) fn continue_from(&mut self, snapshot: LogStart) -> Result<(), Gap> {
        let start = self.log.start();
        if start.after > snapshot.after {
            return Err(Gap {
                snapshot: snapshot.after,
                first: self.log.first_index(),
            });
        }
        let agrees = match self.log.term_at(snapshot.after) {
            Some(_) if start.after == snapshot.after && self.headless => true,
            Some(term) => term == snapshot.term,
            None => false,
        };
        if agrees && start.after < snapshot.after {
            self.log.compact(snapshot.after);
        } else if agrees {
            self.log.set_start_term(snapshot.term);
        } else {
            self.begin_anew(snapshot, false);
        }
        self.headless = false;
        Ok(())
    }
}

/// Entries between the snapshot and the log are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log begins at {first} but the snapshot ends at {snapshot}: files were removed or replaced; \
     restore them, or remove the replica from the group, empty its directory, and add it again"
)]
pub struct Gap {
    /// The last entry of the snapshot; zero if there is none.
    pub snapshot: LogIndex,
    /// The first entry of the log.
    pub first: LogIndex,
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use proptest::prelude::*;

    use super::super::{Batch, BatchBuilder};
    use super::*;
    use crate::types::{LogIndex, ReplicaId, Term};

    fn replay(mut file: Bytes) -> Recovered {
        let mut found = Recovered::default();
        found.take(&mut file, usize::MAX);
        found
    }

    /// A file as replicas write it: batches that follow, or replace the end of, what is there; and votes.
    fn records() -> impl Strategy<Value = Vec<Bytes>> {
        let step = (
            0..4u8,
            1..20usize,
            0..6u64,
            proptest::collection::vec(any::<u8>(), 0..40),
        );
        proptest::collection::vec(step, 1..30).prop_map(|steps| {
            let (mut last, mut term) = (0, 1);
            let mut records = Vec::new();
            for (kind, count, back, data) in steps {
                if kind == 0 {
                    term += 1;
                    let state = HardState {
                        term: Term(term),
                        voted_for: Some(ReplicaId(count as u32)),
                    };
                    records.push(state.encode());
                    continue;
                }
                let first = if kind == 1 {
                    (last + 1u64).saturating_sub(back).max(1)
                } else {
                    last + 1
                };
                records.push(batch(term, first, count, &data).bytes().clone());
                last = first + count as u64 - 1;
            }
            records
        })
    }

    fn batch(term: u64, first: u64, count: usize, data: &[u8]) -> Batch {
        let mut builder = BatchBuilder::default();
        for _ in 0..count {
            builder.push(|bytes| bytes.put_slice(data));
        }
        builder.finish(Term(term), LogIndex(first))
    }

    fn contents(found: &Recovered) -> (HardState, Vec<(LogIndex, Term, Vec<u8>)>) {
        let mut entries = Vec::new();
        found.log.visit(LogIndex::ZERO, |index, term, data| {
            entries.push((index, term, data.unwrap().to_vec()));
        });
        (found.hard_state, entries)
    }

    /// What is found after any damage must be what was found after some number of whole records.
    fn prefix_contents(
        records: &[Bytes],
        length: u64,
    ) -> (HardState, Vec<(LogIndex, Term, Vec<u8>)>) {
        let mut whole = BytesMut::new();
        for record in records {
            if (whole.len() + record.len()) as u64 > length {
                break;
            }
            whole.extend_from_slice(record);
        }
        assert_eq!(
            whole.len() as u64,
            length,
            "the sound part ends where a record ends"
        );
        contents(&replay(whole.freeze()))
    }

    proptest! {
        #[test]
        fn a_torn_tail_loses_only_the_records_it_tears(records in records(), cut in any::<prop::sample::Index>()) {
            let file = records.concat();
            let cut = cut.index(file.len() + 1);
            let found = replay(Bytes::copy_from_slice(&file[..cut]));
            prop_assert_eq!(contents(&found), prefix_contents(&records, found.length));
            let next = records.iter().scan(0, |end, record| { *end += record.len(); Some(*end) });
            let sound = next.take_while(|end| *end <= cut).last().unwrap_or(0);
            prop_assert_eq!(found.length, sound as u64);
        }

        #[test]
        fn damage_hides_what_follows_but_invents_nothing(
            records in records(), place in any::<prop::sample::Index>(), flip in 1..=255u8, zeros in 0..64usize,
        ) {
            let mut file = records.concat();
            let place = place.index(file.len());
            file[place] ^= flip;
            file.extend(std::iter::repeat_n(0, zeros));
            let found = replay(file.into());
            prop_assert!(found.length <= place as u64);
            prop_assert_eq!(contents(&found), prefix_contents(&records, found.length));
        }

        #[test]
        fn any_bytes_are_read_without_panic(file: Vec<u8>) {
            let _whatever = replay(file.into());
        }
    }
}
