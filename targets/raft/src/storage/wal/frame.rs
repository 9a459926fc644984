//! What a segment consists of: frames. A frame is what is written and flushed at once.
//!
//! A frame is written only when everything before it is on stable storage, so **a frame that is there proves that all
//! before it was durable**. That tells damage from what a crash may leave. The one frame that was being written when the
//! power failed may be there in part, and in any part, because the kernel writes pages in any order; it is torn, nothing
//! was promised about it, and nothing follows it. Where something does follow, what is broken was once whole. A frame
//! without records is written for no other reason (`proof`).
//!
//! `place u64 | previous u64 | length u32 | digest u32 | kind u32 | checksum u32 | records…`, little endian, at multiples
//! of eight. The place is the frame's own, `previous` that of the frame before, in whichever segment. The digest covers
//! the prefixes of the records, which hold the checksums of their contents; the checksum covers what precedes it, and
//! the segment's salt.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::segment::Lsn;
use crate::storage::record::{PREFIX, Record};

/// The length of what precedes the records.
pub(super) const HEAD: usize = 32;
const ALIGNMENT: u64 = 8;
const KIND_RECORDS: u32 = 1;
const KIND_SEAL: u32 = 2;

/// What precedes the records of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) place: Lsn,
    pub(super) previous: Lsn,
    pub(super) content: Content,
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It holds records.
    Records { length: u32, digest: u32 },
    /// It holds nothing: the log goes on in the next segment.
    Seal,
}

impl Head {
    pub(super) fn encode(&self, salt: u64) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD);
        bytes.put_u64_le(self.place.0);
        bytes.put_u64_le(self.previous.0);
        let (length, digest, kind) = match self.content {
            Content::Records { length, digest } => (length, digest, KIND_RECORDS),
            Content::Seal => (0, 0, KIND_SEAL),
        };
        bytes.put_u32_le(length);
        bytes.put_u32_le(digest);
        bytes.put_u32_le(kind);
        bytes.put_u32_le(checksum(&bytes, salt));
        bytes.freeze()
    }

    /// Reads the head of the frame at `place`; `None` if there is none.
    pub(super) fn decode(mut bytes: &[u8], salt: u64, place: Lsn) -> Option<Self> {
        // First of all what nearly all other bytes differ in.
        if *bytes.first_chunk()? != place.0.to_le_bytes() {
            return None;
        }
        let (covered, sum) = bytes.split_at_checked(HEAD - 4)?;
        if *sum.first_chunk()? != checksum(covered, salt).to_le_bytes() {
            return None;
        }
        bytes.advance(8);
        let previous = Lsn(bytes.try_get_u64_le().ok()?);
        let length = bytes.try_get_u32_le().ok()?;
        let digest = bytes.try_get_u32_le().ok()?;
        let content = match bytes.try_get_u32_le().ok()? {
            KIND_RECORDS => Content::Records { length, digest },
            KIND_SEAL => Content::Seal,
            _ => return None,
        };
        Some(Self {
            place,
            previous,
            content,
        })
    }
}

fn checksum(covered: &[u8], salt: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

/// Where a frame can begin, at or after `end`.
pub(super) const fn aligned(end: Lsn) -> Lsn {
    Lsn(end.0.next_multiple_of(ALIGNMENT))
}

/// The place of the first frame head in `bytes`, which lie at `place`.
pub(super) fn find(bytes: &[u8], salt: u64, place: Lsn) -> Option<Lsn> {
    (aligned(place).0..place.plus(bytes.len()).0)
        .step_by(ALIGNMENT as usize)
        .map(Lsn)
        .find(|at| Head::decode(&bytes[(at.0 - place.0) as usize..], salt, *at).is_some())
}

/// Records that are to be written at once.
pub(super) struct Frame {
    place: Lsn,
    previous: Lsn,
    end: Lsn,
    digest: crc32fast::Hasher,
    pub(super) records: Vec<Bytes>,
}

impl Frame {
    pub(super) fn new(place: Lsn, previous: Lsn) -> Self {
        Self {
            place,
            previous,
            end: place.plus(HEAD),
            digest: crc32fast::Hasher::new(),
            records: Vec::new(),
        }
    }

    /// Adds a record, and says where it ends.
    pub(super) fn push(&mut self, record: Bytes) -> Lsn {
        self.digest.update(&record[..PREFIX]);
        self.end = self.end.plus(record.len());
        self.records.push(record);
        self.end
    }

    pub(super) const fn place(&self) -> Lsn {
        self.place
    }

    pub(super) const fn end(&self) -> Lsn {
        self.end
    }

    /// How many bytes the records take.
    pub(super) const fn length(&self) -> usize {
        (self.end.0 - self.place.0) as usize - HEAD
    }

    pub(super) fn head(&self) -> Head {
        let length = u32::try_from(self.length()).expect("a frame lies in one segment");
        let digest = self.digest.clone().finalize();
        Head {
            place: self.place,
            previous: self.previous,
            content: Content::Records { length, digest },
        }
    }
}

/// Takes the records of a frame off `body`; `None` if they are not what was written.
pub(super) fn read_records(mut body: Bytes, digest: u32) -> Option<Vec<Record>> {
    let (mut records, mut found) = (Vec::new(), crc32fast::Hasher::new());
    while !body.is_empty() {
        found.update(body.get(..PREFIX)?);
        records.push(Record::take(&mut body)?);
    }
    (found.finalize() == digest).then_some(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::HardState;
    use crate::types::Term;

    fn state(term: u64) -> HardState {
        HardState {
            term: Term(term),
            voted_for: None,
        }
    }

    fn frame(terms: &[u64]) -> (Frame, Head, Bytes) {
        let mut frame = Frame::new(Lsn::new(3, 64), Lsn::new(2, 32));
        for term in terms {
            frame.push(state(*term).encode());
        }
        let (head, body) = (frame.head(), frame.records.concat().into());
        (frame, head, body)
    }

    fn digest(head: &Head) -> u32 {
        match head.content {
            Content::Records { digest, .. } => digest,
            Content::Seal => panic!("a seal has no records"),
        }
    }

    #[test]
    fn a_frame_is_read_where_it_was_written_only() {
        let (frame, head, body) = frame(&[1, 2]);
        let bytes = head.encode(9);
        assert_eq!(bytes.len(), HEAD);
        assert_eq!(Head::decode(&bytes, 9, head.place), Some(head));
        assert_eq!(Head::decode(&bytes, 8, head.place), None);
        assert_eq!(Head::decode(&bytes, 9, Lsn::new(3, 72)), None);
        for position in 0..HEAD {
            let mut bad = bytes.to_vec();
            bad[position] ^= 1;
            assert_eq!(Head::decode(&bad, 9, head.place), None);
        }
        assert_eq!(frame.end(), head.place.plus(HEAD + body.len()));
        let states = [1, 2].map(|term| Record::HardState(state(term)));
        assert_eq!(read_records(body, digest(&head)), Some(states.into()));
    }

    #[test]
    fn records_of_another_frame_are_not_taken() {
        let (_, head, _) = frame(&[1, 2]);
        let (_, _, other) = frame(&[1, 3]);
        assert_eq!(read_records(other, digest(&head)), None);
        assert_eq!(read_records(frame(&[1]).2, digest(&head)), None);
    }

    #[test]
    fn a_frame_is_found_among_other_bytes() {
        let (_, head, body) = frame(&[1]);
        let before = [7; 24];
        let bytes = [&before[..], &head.encode(9), &body].concat();
        let place = Lsn(head.place.0 - 24);
        assert_eq!(find(&bytes, 9, place), Some(head.place));
        assert_eq!(find(&bytes, 8, place), None);
        assert_eq!(find(&bytes[32..], 9, place.plus(32)), None);
    }
}
