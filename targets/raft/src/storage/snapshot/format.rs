//! What a snapshot file consists of: records like those of the log, the first with the meaning, the last with the end.
//!
//! Every record says at which place it belongs, so that none is missing, or taken for another, without notice.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::SnapshotMeta;
use crate::storage::record::{PREFIX, seal, unseal};
use crate::types::{LogIndex, Term};

const MAGIC: &[u8; 8] = b"DFSNAP\x00\x01";
const KIND_META: u8 = 16;
const KIND_CHUNK: u8 = 17;
const KIND_END: u8 = 18;
/// Record prefix, kind, place.
pub(super) const HEAD: usize = PREFIX + 1 + 8;

/// A record of a snapshot file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Meta(SnapshotMeta),
    Chunk(Bytes),
    End,
}

impl Record {
    /// The head of the record at `place`, and what follows it.
    pub(super) fn encode(&self, place: u64) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_bytes(0, PREFIX);
        bytes.put_u8(match self {
            Self::Meta(_) => KIND_META,
            Self::Chunk(_) => KIND_CHUNK,
            Self::End => KIND_END,
        });
        bytes.put_u64_le(place);
        match self {
            Self::Meta(meta) => {
                bytes.put_slice(MAGIC);
                bytes.put_u64_le(meta.index.0);
                bytes.put_u64_le(meta.term.0);
                bytes.put_slice(&meta.configuration);
            }
            Self::Chunk(chunk) => bytes.put_slice(chunk),
            Self::End => {}
        }
        seal(&mut bytes);
        bytes.freeze()
    }

    /// Reads a whole record; `None` if it is damaged, or not the one of this place.
    pub(super) fn decode(bytes: &Bytes, place: u64) -> Option<Self> {
        let mut body = unseal(bytes)?;
        let kind = body.try_get_u8().ok()?;
        if body.try_get_u64_le().ok()? != place {
            return None;
        }
        match kind {
            KIND_META => {
                if body.split_to(MAGIC.len().min(body.len())) != MAGIC[..] {
                    return None;
                }
                Some(Self::Meta(SnapshotMeta {
                    index: LogIndex(body.try_get_u64_le().ok()?),
                    term: Term(body.try_get_u64_le().ok()?),
                    configuration: body,
                }))
            }
            KIND_CHUNK => Some(Self::Chunk(body)),
            KIND_END => Some(Self::End),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_at_their_places_only() {
        let meta = SnapshotMeta {
            index: LogIndex(7),
            term: Term(2),
            configuration: Bytes::from_static(b"members"),
        };
        let chunk = Bytes::from_static(b"chunk");
        for record in [Record::Meta(meta), Record::Chunk(chunk), Record::End] {
            let bytes = record.encode(100);
            assert_eq!(Record::decode(&bytes, 100), Some(record));
            assert_eq!(Record::decode(&bytes, 101), None);
            for position in 0..bytes.len() {
                let mut damaged = BytesMut::from(&bytes[..]);
                damaged[position] ^= 1;
                assert_eq!(Record::decode(&damaged.freeze(), 100), None);
            }
        }
    }
}
