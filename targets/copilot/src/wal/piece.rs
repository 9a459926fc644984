//! What the frames of a log file consist of: pieces, each `length u32 | bytes`.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::core::Record;
use crate::wire::Wire;

const PREFIX: usize = 4;

/// A part of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A change.
    Change(Record),
    /// What the changes before have led to, without the store; comes first in a file if it is there.
    Head(Bytes),
    /// A part of the store that belongs to the head.
    Store(Bytes),
}

impl Wire for Piece {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Change(record) => {
                out.put_u8(1);
                record.put(out);
            }
            Self::Head(bytes) => {
                out.put_u8(2);
                out.put_slice(bytes);
            }
            Self::Store(bytes) => {
                out.put_u8(3);
                out.put_slice(bytes);
            }
        }
    }

    fn take(from: &mut Bytes) -> Option<Self> {
        Some(match from.try_get_u8().ok()? {
            1 => Self::Change(Wire::take(from)?),
            2 => Self::Head(std::mem::take(from)),
            3 => Self::Store(std::mem::take(from)),
            _ => return None,
        })
    }
}

/// Appends a piece.
pub(super) fn put(piece: &Piece, out: &mut BytesMut) {
    let start = out.len();
    out.put_bytes(0, PREFIX);
    piece.put(out);
    let body = start + PREFIX;
    let length = u32::try_from(out.len() - body).expect("pieces are far below 4 GiB");
    out[start..body].copy_from_slice(&length.to_le_bytes());
}

/// Takes a piece off the front; `None` if there is none that this version can read.
pub(super) fn take(bytes: &mut Bytes) -> Option<Piece> {
    let length = bytes.try_get_u32_le().ok()? as usize;
    if length > bytes.len() {
        return None;
    }
    Piece::decode(bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::{ReplicaId, Role};

    proptest! {
        #[test]
        fn pieces_survive_and_halves_are_not_read(store: Vec<u8>, number: u64, cut: prop::sample::Index) {
            let pieces = [
                Piece::Head(Bytes::from_static(b"head")),
                Piece::Store(store.into()),
                Piece::Change(Record::ViewPromised(Role::Copilot, number, ReplicaId(2))),
            ];
            let mut out = BytesMut::new();
            let mut ends = Vec::new();
            for piece in &pieces {
                put(piece, &mut out);
                ends.push(out.len());
            }
            let length = cut.index(out.len() + 1);
            let mut bytes = out.freeze().slice(..length);
            let read: Vec<_> = std::iter::from_fn(|| take(&mut bytes)).collect();
            let whole = ends.iter().filter(|end| **end <= length).count();
            prop_assert_eq!(&read[..], &pieces[..whole]);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut bytes = Bytes::from(bytes);
            while take(&mut bytes).is_some() {}
        }
    }
}
