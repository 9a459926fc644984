//! Writing a snapshot.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use depfast::disk::Flush;

use super::format::Record;
use super::{Content, Current, NAME, SnapshotMeta, Snapshots};

/// How much is written between flushes, so that the log's own flushes never wait for much.
const FLUSHED_AT_ONCE: u64 = 1 << 20;

/// A snapshot that is being written, or received.
pub struct SnapshotWriter {
    snapshots: Rc<Snapshots>,
    /// The name of its file; taken when the file has got its final one.
    unfinished: Option<String>,
    meta: SnapshotMeta,
    content: Content,
    first_chunk: u64,
    end: u64,
    flushed: u64,
}

impl SnapshotWriter {
    pub(super) async fn begin(
        snapshots: Rc<Snapshots>,
        name: String,
        meta: SnapshotMeta,
        content: Content,
    ) -> io::Result<Self> {
        let mut writer = Self {
            snapshots,
            unfinished: Some(name),
            meta: meta.clone(),
            content,
            first_chunk: 0,
            end: 0,
            flushed: 0,
        };
        writer.put(&Record::Meta(meta), Flush::No).await?;
        writer.first_chunk = writer.end;
        Ok(writer)
    }

    /// What it will stand for.
    pub const fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// The place of the next chunk.
    pub const fn offset(&self) -> u64 {
        self.end
    }

    /// Writes the next chunk.
    ///
    /// # Errors
    ///
    /// The disk fails; if it is [full](crate::storage::is_full), nothing is lost but this snapshot.
    pub async fn write(&mut self, chunk: Bytes) -> io::Result<()> {
        let flush = if self.end - self.flushed >= FLUSHED_AT_ONCE {
            Flush::Data
        } else {
            Flush::No
        };
        self.put(&Record::Chunk(chunk), flush).await
    }

    /// Makes the snapshot durable, and the current one unless that is as recent.
    ///
    /// # Errors
    ///
    /// The disk fails; the current snapshot is the one before, or if that is no longer certain, the error is not of the
    /// kind that [`is_full`](crate::storage::is_full).
    pub async fn finish(mut self) -> io::Result<()> {
        self.put(&Record::End, Flush::Data).await?;
        if self.snapshots.finished.get() >= self.meta.index {
            return Ok(());
        }
        self.snapshots.finished.set(self.meta.index);
        if let (Some(disk), Some(name)) = (&self.snapshots.disk, &self.unfinished) {
            disk.rename(name, NAME)
                .wait("switch snapshot")
                .await
                .map_err(|error| io::Error::other(format!("cannot switch snapshots: {error}")))?;
        }
        self.unfinished = None;
        self.snapshots.current.replace(Some(Current {
            meta: self.meta.clone(),
            first_chunk: self.first_chunk,
            length: self.end,
            content: self.content.clone(),
        }));
        Ok(())
    }

    async fn put(&mut self, record: &Record, flush: Flush) -> io::Result<()> {
        let bytes = record.encode(self.end);
        let place = self.end;
        self.end += bytes.len() as u64;
        match &self.content {
            Content::File(file) => {
                file.write(place, vec![bytes], flush)
                    .wait("write snapshot")
                    .await?;
                if flush == Flush::Data {
                    self.flushed = self.end;
                }
            }
            Content::Memory(records) => {
                records.borrow_mut().insert(place, bytes);
            }
        }
        Ok(())
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if let (Some(disk), Some(name)) = (&self.snapshots.disk, self.unfinished.take()) {
            // Nobody waits: what is left after a crash is removed at the next start.
            let _removed = disk.remove(&name);
        }
    }
}
