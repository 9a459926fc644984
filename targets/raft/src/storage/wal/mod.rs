//! The log on disk: appended to, flushed in groups, kept in segments.
//!
//! | module | what it holds |
//! |---|---|
//! | `segment` | the files: names, headers, places |
//! | `frame` | what is written at once, and how damage is told from a torn write |
//! | `flush` | from the queue to stable storage |
//! | `proof` | what follows the last frame, so that damage to it is told from a torn write as well |
//! | `upkeep` | the next segment, made ahead of time or recycled; a full disk |
//! | `read` | reading back what is no longer in memory |
//! | `recovery` | reading everything at the start |

mod files;
mod flush;
mod frame;
mod proof;
mod read;
mod recovery;
mod segment;
mod upkeep;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use depfast::{Env, ValueEvent};

pub use read::{Extent, Piece};
pub use segment::Lsn;

use super::batch::Batch;
use super::log::Log;
use super::record::HardState;
use super::recovered::{Continued, Recovered};
use super::snapshot::SnapshotMeta;
use crate::config::Durability;
use crate::types::LogIndex;
use files::Files;
use flush::Flushing;
use frame::{Frame, HEAD, aligned};
use recovery::recover;
use segment::FIRST;

/// A reasonable [`Options::segment_bytes`]: the next one is made rarely, and two of them fit on a small disk.
pub const SEGMENT_BYTES: u64 = 16 << 20;

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether it is kept at all.
    pub durability: Durability,
    /// How many bytes of entries are to stay in memory.
    pub log_memory: usize,
    /// The size of a file. A batch that is larger gets a larger one.
    pub segment_bytes: u64,
}

/// Whether the log can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// There is room.
    Enough,
    /// The disk is full. What is left of the current segment is for term and vote, and for what is under way: nothing new
    /// should be. There is [`Enough`](Self::Enough) again when there is space for another segment.
    Full,
}

/// The log of one replica, on disk.
///
/// What is appended while a flush is under way leaves with the next one, in one write.
pub struct Wal {
    env: Env,
    /// Absent if nothing is to be kept.
    files: Option<Files>,
    /// Frames to be written; the last one takes what is appended.
    queue: RefCell<VecDeque<Frame>>,
    /// The last frame, written or not.
    last_frame: Cell<Lsn>,
    end: Cell<Lsn>,
    hard_state: Cell<HardState>,
    durable: ValueEvent<Lsn>,
    durable_bytes: Cell<u64>,
    appended: ValueEvent<()>,
    failure: ValueEvent<Option<Rc<io::Error>>>,
    space: ValueEvent<Space>,
}

impl Wal {
    /// Opens the log, reads what it says and has it continue the snapshot. A torn write at its end is ignored.
    ///
    /// # Errors
    ///
    /// The disk fails, or the log is not what was written; the latter error holds a [`Damage`](super::Damage).
    pub async fn open(
        env: &Env,
        options: &Options,
        snapshot: Option<&SnapshotMeta>,
    ) -> io::Result<(Rc<Self>, Recovered)> {
        let snapshot = snapshot.map(SnapshotMeta::log_start);
        let mut recovered = Recovered::default();
        let (mut files, mut flushing) = (None, None);
        let (mut position, mut proven) = (recovery::Position::default(), Lsn::default());
        if options.durability == Durability::Fsync {
            let found = recover(&env.disk(), options.log_memory, snapshot).await?;
            recovered = found.recovered;
            position = found.position;
            if found.proven {
                proven = position.end;
            }
            let (opened, active) =
                Files::open(env, options.segment_bytes, found.segments, position.end).await?;
            flushing = Some(Flushing::new(active, position));
            files = Some(opened);
        }
        let snapshot = snapshot.unwrap_or_default();
        let continued = recovered.continue_from(snapshot)?;
        let wal = Rc::new(Self {
            env: env.clone(),
            files,
            queue: RefCell::default(),
            last_frame: Cell::new(position.previous),
            end: Cell::new(position.end),
            hard_state: Cell::new(recovered.hard_state),
            durable: ValueEvent::new(env, position.end),
            durable_bytes: Cell::new(recovered.log.bytes()),
            appended: ValueEvent::new(env, ()),
            failure: ValueEvent::new(env, None),
            space: ValueEvent::new(env, Space::Enough),
        });
        if continued == Continued::Anew {
            let end = wal.put(snapshot.encode());
            recovered.log.settle(end);
        }
        wal.release(&recovered.log);
        if let Some(flushing) = flushing {
            let (flusher, keeper, prover) = (Rc::clone(&wal), Rc::clone(&wal), Rc::clone(&wal));
            env.spawn(async move { flusher.flush_forever(flushing).await });
            env.spawn(async move { keeper.keep_up().await });
            env.spawn(async move { prover.prove_forever(proven).await });
        }
        Ok((wal, recovered))
    }

    /// Appends a batch; it is durable when [`durable`](Self::durable) reaches the returned place.
    pub fn append(&self, batch: &Batch) -> Lsn {
        self.put(batch.bytes().clone())
    }

    /// Notes term and vote; they are durable when [`durable`](Self::durable) reaches the returned place.
    pub fn note(&self, state: &HardState) -> Lsn {
        self.hard_state.set(*state);
        self.put(state.encode())
    }

    /// Forgets the entries up to `index`, which a [finished](super::SnapshotWriter::finish) snapshot covers; entries
    /// after it stay. What is no longer needed on disk is removed, or used again, in the background.
    pub fn compact(&self, log: &mut Log, index: LogIndex) {
        log.compact(index);
        self.release(log);
    }

    /// Has the log continue a [finished](super::SnapshotWriter::finish) snapshot that was received. If the log holds
    /// the snapshot's last entry, what follows it stays, otherwise the log is empty afterwards.
    ///
    /// Returns the place that [`durable`](Self::durable) must reach before anything is answered.
    pub fn install(&self, log: &mut Log, snapshot: &SnapshotMeta) -> Lsn {
        if log.term_at(snapshot.index) == Some(snapshot.term) {
            self.compact(log, snapshot.index);
            return self.end();
        }
        let start = snapshot.log_start();
        *log = Log::starting(start);
        let end = self.put(start.encode());
        log.settle(end);
        self.release(log);
        end
    }

    fn release(&self, log: &Log) {
        if let Some(files) = &self.files {
            let needed = log.oldest().unwrap_or(self.last_frame.get());
            files.release(needed, log.settled());
        }
    }

    fn put(&self, record: Bytes) -> Lsn {
        let length = record.len();
        let end = match &self.files {
            Some(files) => self.enqueue(record, files.segment_bytes),
            None => self.end.get().plus(record.len()),
        };
        self.end.set(end);
        if self.files.is_none() {
            self.made_durable(end, length);
        }
        end
    }

    fn made_durable(&self, end: Lsn, bytes: usize) {
        let before = self.durable_bytes.get();
        self.durable_bytes.set(before + bytes as u64);
        self.durable.set(end);
    }

    /// Adds a record to the frame that is open, or opens one, in the next segment if there is no room in this one.
    fn enqueue(&self, record: Bytes, segment_bytes: u64) -> Lsn {
        let mut queue = self.queue.borrow_mut();
        // What proves this one and a seal have to fit as well.
        let fits = |at: Lsn| at.offset() + (record.len() + 3 * HEAD) as u64 <= segment_bytes;
        if let Some(open) = queue.back_mut().filter(|open| fits(open.end())) {
            return open.push(record);
        }
        let mut place = aligned(self.end.get());
        let begins_segment = !fits(place.plus(HEAD)) && place.offset() > FIRST;
        if begins_segment {
            place = Lsn::new(place.segment() + 1, FIRST);
        }
        let mut frame = Frame::new(place, self.last_frame.replace(place));
        if begins_segment {
            // Earlier segments may be removed.
            frame.push(self.hard_state.get().encode());
        }
        let end = frame.push(record);
        queue.push_back(frame);
        if queue.len() == 1 {
            self.appended.set(());
        }
        end
    }

    /// The place after everything appended so far.
    pub const fn end(&self) -> Lsn {
        self.end.get()
    }

    /// How far the log is on stable storage.
    pub const fn durable(&self) -> &ValueEvent<Lsn> {
        &self.durable
    }

    /// How many bytes of records have become durable: those of the log when it was opened, and since.
    pub const fn durable_bytes(&self) -> u64 {
        self.durable_bytes.get()
    }

    /// What went wrong. After that nothing becomes durable any more and the replica must stop: which of the unflushed
    /// bytes are on disk is unknown, and a later flush that succeeds would not tell. A full disk does not count.
    pub const fn failure(&self) -> &ValueEvent<Option<Rc<io::Error>>> {
        &self.failure
    }

    /// Whether there is room for more.
    pub const fn space(&self) -> &ValueEvent<Space> {
        &self.space
    }

    /// Whether records of so many bytes can be kept. On a full disk that is what fits into the current segment and leaves
    /// room for term and vote.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let Some(files) = &self.files else {
            return true;
        };
        let end = self.end.get();
        self.space.get() == Space::Enough
            || (files.is_active(end.segment())
                && end.offset() + bytes as u64 <= files.segment_bytes / 4 * 3)
    }

    /// Whether what is durable can be read again.
    pub const fn keeps(&self) -> bool {
        self.files.is_some()
    }

    /// Makes the replica stop because of an error that was met elsewhere than in a flush.
    pub fn fail(&self, error: io::Error) {
        self.failure.set(Some(Rc::new(error)));
    }
}
