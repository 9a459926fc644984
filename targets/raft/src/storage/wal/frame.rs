//! The frames of a segment, as [`depfast::disk::frame`] has them. Their places are those of the log, so `previous` may lie
//! in another segment. The digest covers the prefixes of the records, which hold the checksums of their contents.

use bytes::Bytes;
use depfast::disk::frame;
pub(super) use depfast::disk::frame::{Content, HEAD, Head};

use super::segment::Lsn;
use crate::storage::record::{PREFIX, Record};

/// Where a frame can begin, at or after `end`.
pub(super) const fn aligned(end: Lsn) -> Lsn {
    Lsn(frame::aligned(end.0))
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
            place: self.place.0,
            previous: self.previous.0,
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
    fn a_frame_says_what_it_holds() {
        let (frame, head, body) = frame(&[1, 2]);
        assert_eq!((head.place, head.previous), (3 << 32 | 64, 2 << 32 | 32));
        assert_eq!(frame.end().0, head.place + (HEAD + body.len()) as u64);
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
}
