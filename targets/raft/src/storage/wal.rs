//! The log file: append-only, flushed in groups.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use depfast::disk::Flush;
use depfast::{Env, File, ValueEvent};

use super::batch::Batch;
use super::log::Log;
use super::record::{self, HardState, Record};
use super::recovery::Recovered;
use super::snapshot::SnapshotMeta;
use crate::config::Durability;
use crate::types::LogIndex;

const NAME: &str = "raft.log";
/// How much of the file is read at a time.
const CHUNK: usize = 1 << 20;
/// What is written ahead of the records. A flush into it changes no metadata of the file, which makes it half as long;
/// recovery ends at the first zeros, as at a torn record.
static AHEAD: [u8; 128 << 10] = [0; 128 << 10];

/// A place in the log file: everything appended before it is durable when the file is flushed up to there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

/// Records that follow each other in the log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where the first one begins.
    pub start: Lsn,
    /// One after the other.
    pub pieces: Vec<Piece>,
}

/// The part of a record that is still valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The length of the whole record.
    pub length: usize,
    /// The first entry to take from it.
    pub first: LogIndex,
    /// The last entry to take from it.
    pub last: LogIndex,
}

/// Whether the log can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// There is room.
    Enough,
    /// The disk is full. What is left is for term and vote, and for what was appended already: nothing new should be.
    Full,
}

/// The log file of one replica.
///
/// What is appended while a flush is under way leaves with the next one, in one write.
pub struct Wal {
    /// Absent if nothing is to be kept.
    files: Option<Files>,
    queue: RefCell<Vec<Bytes>>,
    end: Cell<Lsn>,
    durable: ValueEvent<Lsn>,
    appended: ValueEvent<()>,
    failure: ValueEvent<Option<Rc<io::Error>>>,
    space: ValueEvent<Space>,
}

struct Files {
    log: File,
    /// The same file, read apart so that no flush waits for it.
    reader: File,
}

impl Wal {
    /// Opens the log file and reads what it says; cuts off a torn end.
    ///
    /// # Errors
    ///
    /// Passes on what the disk says.
    pub async fn open(
        env: &Env,
        durability: Durability,
        log_memory: usize,
        snapshot: Option<&SnapshotMeta>,
    ) -> io::Result<(Rc<Self>, Recovered)> {
        let (files, mut recovered) = match durability {
            Durability::Memory => (None, Recovered::default()),
            Durability::Fsync => {
                let log = env.disk().open(NAME).wait("open log").await?;
                let recovered = recover(&log, log_memory).await?;
                if recovered.length < log.length_when_opened() {
                    log.truncate(recovered.length).wait("cut log").await?;
                }
                let reader = env.disk().open(NAME).wait("open log").await?;
                (Some(Files { log, reader }), recovered)
            }
        };
        let snapshot = snapshot.map(SnapshotMeta::log_start).unwrap_or_default();
        recovered
            .continue_from(snapshot)
            .map_err(|gap| io::Error::new(io::ErrorKind::InvalidData, gap))?;
        let start = Lsn(recovered.length);
        let wal = Rc::new(Self {
            files,
            queue: RefCell::default(),
            end: Cell::new(start),
            durable: ValueEvent::new(env, start),
            appended: ValueEvent::new(env, ()),
            failure: ValueEvent::new(env, None),
            space: ValueEvent::new(env, Space::Enough),
        });
        let flushing = Rc::clone(&wal);
        env.spawn(async move { flushing.flush_forever().await });
        Ok((wal, recovered))
    }

    /// Appends a batch; it is durable when [`durable`](Self::durable) reaches the returned place.
    pub fn append(&self, batch: &Batch) -> Lsn {
        self.put(batch.bytes().clone())
    }

    /// Notes term and vote; they are durable when [`durable`](Self::durable) reaches the returned place.
    pub fn note(&self, state: &HardState) -> Lsn {
        self.put(state.encode())
    }

    /// Forgets the entries up to `index`, which a [finished](super::SnapshotWriter::finish) snapshot covers; entries
    /// after it stay. What is no longer needed on disk is removed in the background.
    pub fn compact(&self, log: &mut Log, index: LogIndex) {
        log.compact(index);
    }

    /// Has the log continue a [finished](super::SnapshotWriter::finish) snapshot that was received. If the log holds
    /// the snapshot's last entry, what follows it stays, otherwise the log is empty afterwards.
    ///
    /// Returns the place that [`durable`](Self::durable) must reach before anything is answered.
    pub fn install(&self, log: &mut Log, snapshot: &SnapshotMeta) -> Lsn {
        if log.term_at(snapshot.index) == Some(snapshot.term) {
            log.compact(snapshot.index);
            return self.end();
        }
        let start = snapshot.log_start();
        *log = Log::starting(start);
        self.put(start.encode())
    }

    fn put(&self, record: Bytes) -> Lsn {
        let end = Lsn(self.end.get().0 + record.len() as u64);
        self.end.set(end);
        if self.files.is_none() {
            self.durable.set(end);
            return end;
        }
        let mut queue = self.queue.borrow_mut();
        queue.push(record);
        if queue.len() == 1 {
            self.appended.set(());
        }
        end
    }

    /// The place after everything appended so far.
    pub const fn end(&self) -> Lsn {
        self.end.get()
    }

    /// How far the file is on stable storage.
    pub const fn durable(&self) -> &ValueEvent<Lsn> {
        &self.durable
    }

    /// What went wrong. After that nothing becomes durable any more and the replica must stop: which of the unflushed
    /// bytes are on disk is unknown, and a later flush that succeeds would not tell.
    pub const fn failure(&self) -> &ValueEvent<Option<Rc<io::Error>>> {
        &self.failure
    }

    /// Whether there is room for more.
    pub const fn space(&self) -> &ValueEvent<Space> {
        &self.space
    }

    /// Whether what is durable can be read again.
    pub const fn keeps(&self) -> bool {
        self.files.is_some()
    }

    /// Reads what was written before.
    ///
    /// # Errors
    ///
    /// The disk fails, or gives back something else than was written.
    pub async fn read(&self, extent: &Extent) -> io::Result<Vec<Batch>> {
        let files = self
            .files
            .as_ref()
            .expect("what is not kept is not asked for");
        let length = extent.pieces.iter().map(|piece| piece.length).sum();
        let mut bytes = files
            .reader
            .read(extent.start.0, length)
            .wait("log read")
            .await?;
        let piece = |piece: &Piece| match Record::take(&mut bytes) {
            Some(Record::Entries(batch))
                if batch.first() <= piece.first && piece.last <= batch.last() =>
            {
                Ok(batch
                    .ending_before(piece.last.next())
                    .starting_at(piece.first))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the log file has changed",
            )),
        };
        extent.pieces.iter().map(piece).collect()
    }

    /// Makes the replica stop because of an error that was met elsewhere than in a flush.
    pub fn fail(&self, error: io::Error) {
        self.failure.set(Some(Rc::new(error)));
    }

    async fn flush_forever(&self) {
        let Some(Files { log, .. }) = &self.files else {
            return;
        };
        let mut written = self.durable.get();
        loop {
            self.appended
                .wait("log records", |()| !self.queue.borrow().is_empty())
                .await;
            let mut parts = std::mem::take(&mut *self.queue.borrow_mut());
            let end = self.end.get();
            let start = self.durable.get();
            if end > written {
                parts.push(Bytes::from_static(&AHEAD));
                written = Lsn(end.0 + AHEAD.len() as u64);
            }
            if let Err(error) = log
                .write(start.0, parts, Flush::Data)
                .wait("log flush")
                .await
            {
                self.fail(error);
                return;
            }
            self.durable.set(end);
        }
    }
}

async fn recover(log: &File, log_memory: usize) -> io::Result<Recovered> {
    let total = log.length_when_opened();
    let mut recovered = Recovered::default();
    let mut chunk = CHUNK;
    while recovered.length < total {
        let start = recovered.length;
        let mut bytes = log.read(start, chunk).wait("read log").await?;
        let read = bytes.len();
        recovered.take(&mut bytes, log_memory);
        chunk = CHUNK;
        if recovered.length == start {
            // Perhaps it is only a record longer than the chunk.
            match record::length(&bytes) {
                Some(length) if length > read && start + length as u64 <= total => chunk = length,
                _ => break,
            }
        }
    }
    Ok(recovered)
}
