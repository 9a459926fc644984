//! Reading a snapshot, to restore the state from it or to send it.

use std::io;

use bytes::Bytes;

use super::format::{HEAD, Record};
use super::{Content, Current, NAME, SnapshotMeta};
use crate::storage::record;

/// How much is read at first; most chunks are no larger.
const GUESS: usize = 64 << 10;

/// A snapshot that can be read from any of its places.
pub struct SnapshotReader(Current);

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What was written.
    pub bytes: Bytes,
    /// The place of the chunk that follows.
    pub next: u64,
}

impl SnapshotReader {
    pub(super) const fn new(current: Current) -> Self {
        Self(current)
    }

    /// What the snapshot stands for.
    pub const fn meta(&self) -> &SnapshotMeta {
        &self.0.meta
    }

    /// The place of the first chunk.
    pub const fn first(&self) -> u64 {
        self.0.first_chunk
    }

    /// The chunk at `offset`; `None` at the end.
    ///
    /// # Errors
    ///
    /// The disk fails, there is damage, or no chunk begins there.
    pub async fn chunk_at(&self, offset: u64) -> io::Result<Option<Chunk>> {
        let (record, length) = read(&self.0.content, offset).await?;
        match record {
            Record::Chunk(bytes) => Ok(Some(Chunk {
                bytes,
                next: offset + length,
            })),
            Record::End => Ok(None),
            Record::Meta(_) => Err(damaged(offset)),
        }
    }
}

/// What the file says about itself, and where that ends.
pub(super) async fn read_meta(content: &Content) -> io::Result<(SnapshotMeta, u64)> {
    match read(content, 0).await? {
        (Record::Meta(meta), length) => Ok((meta, length)),
        _ => Err(damaged(0)),
    }
}

/// The record at `offset`, and its length.
async fn read(content: &Content, offset: u64) -> io::Result<(Record, u64)> {
    let bytes = match content {
        Content::File(file) => {
            let mut bytes = file.read(offset, GUESS).wait("read snapshot").await?;
            let length = record::length(&bytes).filter(|length| *length >= HEAD);
            let length = length.ok_or_else(|| damaged(offset))?;
            if length > GUESS {
                bytes = file.read(offset, length).wait("read snapshot").await?;
            }
            bytes.slice(..length.min(bytes.len()))
        }
        Content::Memory(records) => records.borrow().get(&offset).cloned().unwrap_or_default(),
    };
    let length = bytes.len() as u64;
    let record = Record::decode(&bytes, offset).ok_or_else(|| damaged(offset))?;
    Ok((record, length))
}

fn damaged(offset: u64) -> io::Error {
    let text = format!("file `{NAME}` is damaged at byte {offset}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
