//! Reading back what is no longer in memory.

use std::io;

use super::Wal;
use super::segment::{Lsn, name};
use crate::storage::damage::What;
use crate::storage::{Batch, Record};
use crate::types::LogIndex;

/// Records that lie close to each other in one segment, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What to take of them; at least one.
    pub pieces: Vec<Piece>,
}

/// The part of a record that is still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where the record begins.
    pub start: Lsn,
    /// The length of the whole record.
    pub length: usize,
    /// The first entry to take from it.
    pub first: LogIndex,
    /// The last entry to take from it.
    pub last: LogIndex,
}

impl Piece {
    /// Where the record ends.
    pub(in crate::storage) const fn end(&self) -> Lsn {
        self.start.plus(self.length)
    }
}

impl Wal {
    /// Reads what was written before. Gives nothing if it was compacted meanwhile.
    ///
    /// # Errors
    ///
    /// The disk fails, or gives back something else than was written.
    pub async fn read(&self, extent: &Extent) -> io::Result<Vec<Batch>> {
        let (Some(files), [first, .., last] | [first @ last]) = (&self.files, &extent.pieces[..])
        else {
            return Ok(Vec::new());
        };
        let segment = first.start.segment();
        let Some(file) = files.reader(segment).await? else {
            return Ok(Vec::new());
        };
        let length = (last.end().0 - first.start.0) as usize;
        let bytes = file
            .read(first.start.offset(), length)
            .wait("log read")
            .await?;
        if !files.has(segment) {
            return Ok(Vec::new());
        }
        let take = |piece: &Piece| {
            let from = (piece.start.0 - first.start.0) as usize;
            let mut record =
                bytes.slice(from.min(bytes.len())..(from + piece.length).min(bytes.len()));
            match Record::take(&mut record) {
                Some(Record::Entries(batch))
                    if batch.first() <= piece.first && piece.last <= batch.last() =>
                {
                    let until = batch.ending_before(piece.last.next());
                    Ok(until.starting_at(piece.first))
                }
                _ => Err(What::Changed {
                    file: name(segment),
                    offset: piece.start.offset(),
                }
                .into()),
            }
        };
        extent.pieces.iter().map(take).collect()
    }
}
