//! Entries as they are sent or applied: some that follow each other, from memory or from the log file.

use super::Log;
use crate::storage::batch::Batch;
use crate::storage::wal::{Extent, Piece};
use crate::types::LogIndex;

/// Records are read at once even if as many other bytes lie between them.
const GAP: u64 = 4096;

/// Some consecutive entries.
#[derive(Debug, PartialEq, Eq)]
pub enum Stretch {
    /// They are in memory; none if there are none.
    Here(Vec<Batch>),
    /// They are to be read from the log file.
    OnDisk(Extent),
    /// The first of them is no longer in the log; a snapshot covers it.
    Compacted,
}

impl Log {
    /// What follows from `index` on: at least one batch if there is any, and then up to `bytes`.
    pub fn since(&self, index: LogIndex, bytes: usize) -> Stretch {
        if index <= self.start.after {
            return Stretch::Compacted;
        }
        let Some(holder) = self.holder(index) else {
            return Stretch::Here(Vec::new());
        };
        if holder < self.on_disk {
            return Stretch::OnDisk(self.extent(holder, index, bytes));
        }
        let mut found = Vec::new();
        let mut size = 0;
        for batch in self
            .slots
            .range(holder..)
            .filter_map(|slot| slot.batch.as_ref())
        {
            let batch = if found.is_empty() {
                batch.starting_at(index)
            } else {
                batch.clone()
            };
            size += batch.bytes().len();
            if size > bytes && !found.is_empty() {
                break;
            }
            found.push(batch);
        }
        Stretch::Here(found)
    }

    /// Records that lie close to each other in the log file, from the one that holds `index`.
    fn extent(&self, holder: usize, index: LogIndex, bytes: usize) -> Extent {
        let mut pieces: Vec<Piece> = Vec::new();
        for slot in self.slots.range(holder..self.on_disk) {
            let piece = Piece {
                start: slot.start(),
                length: slot.length,
                first: slot.first.max(index),
                last: slot.last,
            };
            if let (Some(first), Some(last)) = (pieces.first(), pieces.last()) {
                let far = last.end().gap(piece.start).is_none_or(|gap| gap > GAP);
                if far || piece.end().0 - first.start.0 > bytes as u64 {
                    break;
                }
            }
            pieces.push(piece);
        }
        Extent { pieces }
    }
}
