//! A run of consecutive entries of one term.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::record::{KIND_ENTRIES, PREFIX, seal};
use crate::types::{LogIndex, Term};

/// Record prefix, kind, term, first index, count.
const HEAD: usize = PREFIX + 1 + 8 + 8 + 4;
/// After an unusually large batch a builder gives its room back.
const KEPT_ROOM: usize = 1 << 20;

/// A run of consecutive entries of one term, in the form in which it is sent and stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    term: Term,
    first: LogIndex,
    count: u32,
    bytes: Bytes,
}

impl Batch {
    /// Accepts the bytes of a record whose entries are all there.
    pub(super) fn checked(term: Term, first: LogIndex, count: u32, bytes: Bytes) -> Option<Self> {
        let batch = Self {
            term,
            first,
            count,
            bytes,
        };
        let mut entries = Entries { rest: batch.body() };
        let whole = entries.by_ref().count() == count as usize && entries.rest.is_empty();
        (whole && count > 0 && first > LogIndex::ZERO).then_some(batch)
    }

    /// The term of all its entries.
    pub const fn term(&self) -> Term {
        self.term
    }

    /// The position of its first entry.
    pub const fn first(&self) -> LogIndex {
        self.first
    }

    /// The position of its last entry.
    pub const fn last(&self) -> LogIndex {
        LogIndex(self.first.0 + self.count as u64 - 1)
    }

    /// The bytes to send or store.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn body(&self) -> &[u8] {
        &self.bytes[HEAD..]
    }

    /// Its entries, in order.
    pub fn entries(&self) -> Entries<'_> {
        Entries { rest: self.body() }
    }

    /// The part that begins at `index`, which must be one of its positions.
    #[must_use]
    pub fn starting_at(&self, index: LogIndex) -> Self {
        if index == self.first {
            return self.clone();
        }
        let skipped = usize::try_from(index.0 - self.first.0).expect("counted in 32 bits");
        self.rebuild(self.entries().skip(skipped), index)
    }

    /// The part before `index`, which must be one of its positions but the first, or the one after the last.
    #[must_use]
    pub fn ending_before(&self, index: LogIndex) -> Self {
        if index == self.last().next() {
            return self.clone();
        }
        let kept = usize::try_from(index.0 - self.first.0).expect("counted in 32 bits");
        self.rebuild(self.entries().take(kept), self.first)
    }

    fn rebuild<'a>(&self, entries: impl Iterator<Item = &'a [u8]>, first: LogIndex) -> Self {
        let mut builder = BatchBuilder::default();
        for entry in entries {
            builder.push(|bytes| bytes.put_slice(entry));
        }
        builder.finish(self.term, first)
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}@{}", self.first, self.last(), self.term)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The entries of a [`Batch`], in order.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        Some(entry)
    }
}

/// Entries that are being gathered. Each is encoded right where it will be sent and stored from.
#[derive(Debug)]
pub struct BatchBuilder {
    bytes: BytesMut,
    count: u32,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        let mut bytes = BytesMut::with_capacity(4096);
        bytes.put_bytes(0, HEAD);
        Self { bytes, count: 0 }
    }
}

impl BatchBuilder {
    /// Appends the entry that `write` appends.
    pub fn push(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let start = self.bytes.len();
        self.bytes.put_u32_le(0);
        write(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start - 4)
            .expect("entries are bounded far below 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// Whether nothing was pushed.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes the batch has so far.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The batch, given its place in the log. The builder must not be empty; it is afterwards.
    pub fn finish(&mut self, term: Term, first: LogIndex) -> Batch {
        debug_assert!(!self.is_empty(), "a batch has at least one entry");
        let mut head = &mut self.bytes[PREFIX..HEAD];
        head.put_u8(KIND_ENTRIES);
        head.put_u64_le(term.0);
        head.put_u64_le(first.0);
        head.put_u32_le(self.count);
        seal(&mut self.bytes);
        // A copy of exactly its size: the log keeps it, and here there is room for the next batch already.
        let batch = Batch {
            term,
            first,
            count: self.count,
            bytes: Bytes::copy_from_slice(&self.bytes),
        };
        if self.bytes.capacity() > KEPT_ROOM {
            *self = Self::default();
        } else {
            self.bytes.truncate(HEAD);
            self.count = 0;
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    pub(crate) fn batch(term: u64, first: u64, entries: &[&str]) -> Batch {
        let mut builder = BatchBuilder::default();
        for entry in entries {
            builder.push(|bytes| bytes.put_slice(entry.as_bytes()));
        }
        builder.finish(Term(term), LogIndex(first))
    }

    #[test]
    fn a_batch_is_the_same_after_the_wire() {
        let sent = batch(3, 10, &["a", "", "ccc"]);
        let Some(Record::Entries(got)) = Record::take(&mut sent.bytes().clone()) else {
            panic!("not taken")
        };
        assert_eq!(got, sent);
        assert_eq!((got.first(), got.last()), (LogIndex(10), LogIndex(12)));
        assert!(got.entries().eq([&b"a"[..], b"", b"ccc"]));
    }

    #[test]
    fn a_batch_can_be_cut_at_any_position() {
        let whole = batch(3, 10, &["a", "b", "c"]);
        assert_eq!(whole.starting_at(LogIndex(10)), whole);
        assert_eq!(whole.starting_at(LogIndex(11)), batch(3, 11, &["b", "c"]));
        assert_eq!(whole.ending_before(LogIndex(12)), batch(3, 10, &["a", "b"]));
    }
}
