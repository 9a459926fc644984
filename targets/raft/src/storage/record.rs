//! What the log file and the messages consist of.
//!
//! `length u32 | checksum u32 | kind u8 | …`, little endian; length and checksum cover what follows the checksum. A batch
//! of entries has the same bytes in the leader's memory, on the wire, in a follower's memory and in both files, so it is
//! encoded and checksummed once.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::batch::Batch;
use crate::types::{LogIndex, ReplicaId, Term};

/// Length and checksum.
pub(super) const PREFIX: usize = 8;
pub(super) const KIND_ENTRIES: u8 = 1;
const KIND_HARD_STATE: u8 = 2;
const KIND_START: u8 = 3;
/// The length of a record of term and vote.
const HARD_STATE: usize = PREFIX + 13;
/// The length of a record of the log's start.
const START: usize = PREFIX + 17;

/// What a replica must not forget besides its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<ReplicaId>,
}

/// One record of the log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Entries. They replace what earlier records say about their positions and all later ones.
    Entries(Batch),
    /// The term and vote from here on.
    HardState(HardState),
    /// The log begins anew: nothing that was appended before is part of it any more.
    Start(LogStart),
}

/// Where a log begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStart {
    /// The position before the first entry; a snapshot says what came before.
    pub after: LogIndex,
    /// The term of the entry there.
    pub term: Term,
}

impl HardState {
    /// The state as a record.
    pub fn encode(&self) -> Bytes {
        let mut record = BytesMut::with_capacity(HARD_STATE);
        record.put_bytes(0, PREFIX);
        record.put_u8(KIND_HARD_STATE);
        record.put_u64_le(self.term.0);
        record.put_u32_le(self.voted_for.map_or(u32::MAX, |id| id.0));
        seal(&mut record);
        record.freeze()
    }
}

impl LogStart {
    /// The start as a record.
    pub(super) fn encode(&self) -> Bytes {
        let mut record = BytesMut::with_capacity(START);
        record.put_bytes(0, PREFIX);
        record.put_u8(KIND_START);
        record.put_u64_le(self.after.0);
        record.put_u64_le(self.term.0);
        seal(&mut record);
        record.freeze()
    }
}

/// Writes length and checksum into the room that was left for them.
pub(super) fn seal(record: &mut BytesMut) {
    let length = u32::try_from(record.len() - PREFIX).expect("batches are bounded far below 4 GiB");
    let checksum = crc32fast::hash(&record[PREFIX..]);
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[4..PREFIX].copy_from_slice(&checksum.to_le_bytes());
}

/// The length of the record that `bytes` start with, its prefix included; `None` if they cannot say.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    Some(PREFIX + u32::from_le_bytes(*bytes.first_chunk()?) as usize)
}

/// What a whole record says after its checksum; `None` if it is damaged.
pub(super) fn unseal(record: &Bytes) -> Option<Bytes> {
    if length(record)? != record.len() {
        return None;
    }
    let checksum = u32::from_le_bytes(*record[4..].first_chunk()?);
    (crc32fast::hash(&record[PREFIX..]) == checksum).then(|| record.slice(PREFIX..))
}

impl Record {
    /// How many bytes it takes in the log file.
    pub fn length(&self) -> usize {
        match self {
            Self::Entries(batch) => batch.bytes().len(),
            Self::HardState(_) => HARD_STATE,
            Self::Start(_) => START,
        }
    }

    /// Takes the first record off `bytes`; `None` if they do not start with a whole and undamaged one.
    pub fn take(bytes: &mut Bytes) -> Option<Self> {
        let length = length(bytes).filter(|length| *length <= bytes.len())?;
        let whole = bytes.slice(..length);
        unseal(&whole)?;
        let record = Self::read(whole)?;
        bytes.advance(length);
        Some(record)
    }

    fn read(whole: Bytes) -> Option<Self> {
        let mut body = &whole[PREFIX..];
        match body.try_get_u8().ok()? {
            KIND_ENTRIES => {
                let term = Term(body.try_get_u64_le().ok()?);
                let first = LogIndex(body.try_get_u64_le().ok()?);
                let count = body.try_get_u32_le().ok()?;
                Batch::checked(term, first, count, whole).map(Self::Entries)
            }
            KIND_HARD_STATE => {
                let term = Term(body.try_get_u64_le().ok()?);
                let id = body.try_get_u32_le().ok()?;
                Some(Self::HardState(HardState {
                    term,
                    voted_for: (id != u32::MAX).then_some(ReplicaId(id)),
                }))
            }
            KIND_START => Some(Self::Start(LogStart {
                after: LogIndex(body.try_get_u64_le().ok()?),
                term: Term(body.try_get_u64_le().ok()?),
            })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hard_state_survives_encoding() {
        for voted_for in [None, Some(ReplicaId(3))] {
            let state = HardState {
                term: Term(9),
                voted_for,
            };
            let mut bytes = state.encode();
            assert_eq!(Record::take(&mut bytes), Some(Record::HardState(state)));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn a_start_survives_encoding() {
        let start = LogStart {
            after: LogIndex(7),
            term: Term(3),
        };
        let mut bytes = start.encode();
        assert_eq!(bytes.len(), Record::Start(start).length());
        assert_eq!(Record::take(&mut bytes), Some(Record::Start(start)));
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_damaged_record_is_not_taken() {
        let good = HardState {
            term: Term(9),
            voted_for: None,
        }
        .encode();
        for position in 0..good.len() {
            let mut damaged = BytesMut::from(&good[..]);
            damaged[position] ^= 0x10;
            assert_eq!(Record::take(&mut damaged.freeze()), None, "byte {position}");
            assert_eq!(
                Record::take(&mut good.slice(..position)),
                None,
                "cut at {position}"
            );
        }
    }
}
