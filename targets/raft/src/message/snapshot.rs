//! How a snapshot is sent.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::storage::SnapshotMeta;
use crate::types::{LogIndex, Term};

/// A leader sends the next part of its snapshot; the bytes of a chunk follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// The leader's term.
    pub term: Term,
    /// Which snapshot.
    pub meta: SnapshotMeta,
    /// The place of the part.
    pub offset: u64,
    /// What it is.
    pub part: Part,
}

/// A part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A chunk.
    Chunk,
    /// There is no more.
    End,
}

/// The answer to a [`SnapshotRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotReply {
    /// The follower's term.
    pub term: Term,
    /// What it has to get.
    pub expects: Expects,
}

/// What a follower lacks of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// The part at this place; zero says the first one, wherever that is.
    From(u64),
    /// It holds, and has applied, everything that the snapshot covers.
    Nothing,
}

impl SnapshotRequest {
    /// The message's bytes; a chunk follows.
    pub fn encode(&self) -> Bytes {
        let configuration = &self.meta.configuration;
        let mut bytes = BytesMut::with_capacity(37 + configuration.len());
        for number in [
            self.term.0,
            self.meta.index.0,
            self.meta.term.0,
            self.offset,
        ] {
            bytes.put_u64_le(number);
        }
        bytes.put_u8(u8::from(self.part == Part::End));
        let length = u32::try_from(configuration.len()).expect("groups are small");
        bytes.put_u32_le(length);
        bytes.put_slice(configuration);
        bytes.freeze()
    }

    /// Takes the message off the bytes and leaves the chunk; `None` if it is not one.
    pub fn take(bytes: &mut Bytes) -> Option<Self> {
        let term = Term(bytes.try_get_u64_le().ok()?);
        let index = LogIndex(bytes.try_get_u64_le().ok()?);
        let last_term = Term(bytes.try_get_u64_le().ok()?);
        let offset = bytes.try_get_u64_le().ok()?;
        let part = if bytes.try_get_u8().ok()? == 0 {
            Part::Chunk
        } else {
            Part::End
        };
        let length = bytes.try_get_u32_le().ok()? as usize;
        let configuration = (length <= bytes.len()).then(|| bytes.split_to(length))?;
        Some(Self {
            term,
            meta: SnapshotMeta {
                index,
                term: last_term,
                configuration,
            },
            offset,
            part,
        })
    }
}

impl SnapshotReply {
    /// The message's bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(17);
        bytes.put_u64_le(self.term.0);
        let (kind, offset) = match self.expects {
            Expects::From(offset) => (0, offset),
            Expects::Nothing => (1, 0),
        };
        bytes.put_u8(kind);
        bytes.put_u64_le(offset);
        bytes.freeze()
    }

    /// Reads a message; `None` if it is not one.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let term = Term(bytes.try_get_u64_le().ok()?);
        let kind = bytes.try_get_u8().ok()?;
        let offset = bytes.try_get_u64_le().ok()?;
        let expects = if kind == 0 {
            Expects::From(offset)
        } else {
            Expects::Nothing
        };
        Some(Self { term, expects })
    }
}
