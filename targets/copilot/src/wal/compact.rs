//! How the log file is replaced by a shorter one.
//!
//! The new file gets the state of one moment, while changes still go to the old one; the changes since that moment are
//! gathered. When the state is written, the next flush writes those to the new file instead of the old one, and gives it
//! the old one's name. So a crash at any time leaves one whole file that knows everything that was promised.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use depfast::{Disk, Env, ValueEvent};

use super::file::LogFile;
use super::piece::{self, Piece};
use super::{Lsn, NAME, Wal};
use crate::core::Record;

const UNFINISHED: &str = "copilot.log.unfinished";
/// How much is written between flushes, so that the log's own flushes never wait for much.
const FLUSHED_AT_ONCE: usize = 1 << 20;

/// The state of a replica at one moment.
pub(crate) struct State {
    /// All but the store and what is undecided.
    pub(crate) head: Bytes,
    pub(crate) store: kv::Snapshot,
    /// What leads from there to now.
    pub(crate) records: Vec<Record>,
}

/// A replacement of the log file, under way or due.
pub(super) struct Compaction {
    log_bytes: u64,
    /// How long the file was when it took its place.
    begun_with: Cell<u64>,
    due: ValueEvent<bool>,
    /// The changes since the moment whose state is being written, and what the log's end was then.
    since: RefCell<Option<(Lsn, BytesMut)>>,
    /// The file that has its state.
    written: RefCell<Option<Rc<LogFile>>>,
    /// The state came to be without records here: only a new file can make it durable, and what follows.
    gap: Cell<Option<Lsn>>,
    done: Cell<u64>,
}

impl Compaction {
    pub(super) fn new(env: &Env, log_bytes: u64, begun_with: u64) -> Self {
        Self {
            log_bytes,
            begun_with: Cell::new(begun_with),
            due: ValueEvent::new(env, false),
            since: RefCell::default(),
            written: RefCell::default(),
            gap: Cell::default(),
            done: Cell::default(),
        }
    }

    pub(super) fn note(&self, pieces: &[u8]) {
        if let Some((_, since)) = &mut *self.since.borrow_mut() {
            since.extend_from_slice(pieces);
        }
    }

    pub(super) fn is_written(&self) -> bool {
        self.written.borrow().is_some()
    }

    /// Whether the log file says how the state came to be.
    pub(super) const fn is_gapless(&self) -> bool {
        self.gap.get().is_none()
    }

    /// Notes that the file has grown.
    pub(super) fn consider(&self, length: u64) {
        let grown = length - self.begun_with.get();
        if grown > self.log_bytes.max(self.begun_with.get()) && !self.due.get() {
            self.due.set(true);
        }
    }
}

impl Wal {
    /// Suspends the coroutine until the log file should be replaced.
    pub(crate) async fn compaction_due(&self) {
        self.compaction.due.wait("long log", |due| *due).await;
    }

    /// Says that the replica's state has changed without records: nothing counts as durable any more before a state of
    /// now or later is.
    pub(crate) fn state_replaced(&self) {
        if !self.keeps() {
            return;
        }
        let gap = Lsn(self.end.get().0 + 1);
        self.end.set(gap);
        self.compaction.gap.set(Some(gap));
        self.compaction.due.set(true);
    }

    /// Replaces the log file by one that begins with `state`, which must be that of this very moment.
    ///
    /// # Errors
    ///
    /// The disk fails; the old file stays.
    pub(crate) async fn compact(&self, state: State) -> io::Result<()> {
        let compaction = &self.compaction;
        compaction.due.set(false);
        compaction
            .since
            .replace(Some((self.end.get(), BytesMut::new())));
        match self.write_state(state).await {
            Ok(file) => {
                compaction.written.replace(Some(Rc::new(file)));
                self.appended.set(());
                let switched = |_: &Lsn| !compaction.is_written();
                self.durable.wait("new log", switched).await;
                Ok(())
            }
            Err(error) => {
                // What there is of the file is removed at the next attempt, or start.
                compaction.since.replace(None);
                compaction.due.set(!compaction.is_gapless());
                Err(error)
            }
        }
    }

    /// How often the log file was replaced.
    pub(crate) const fn compactions(&self) -> u64 {
        self.compaction.done.get()
    }

    async fn write_state(&self, state: State) -> io::Result<LogFile> {
        let file = begin(&self.env, &self.disk, self.compaction.log_bytes).await?;
        let changes = state.records.into_iter().map(Piece::Change);
        let mut pieces = std::iter::once(Piece::Head(state.head))
            .chain(state.store.map(Piece::Store))
            .chain(changes)
            .peekable();
        while pieces.peek().is_some() {
            let mut bytes = BytesMut::new();
            while bytes.len() < FLUSHED_AT_ONCE
                && let Some(piece) = pieces.next()
            {
                piece::put(&piece, &mut bytes);
            }
            file.append(bytes.freeze(), "write state").await?;
        }
        Ok(file)
    }

    /// Goes on with the new file.
    pub(super) async fn switch(&self) -> io::Result<()> {
        let compaction = &self.compaction;
        let Some(file) = compaction.written.borrow().clone() else {
            return Ok(());
        };
        let Some((moment, since)) = compaction.since.take() else {
            return Ok(());
        };
        self.queue.borrow_mut().clear();
        let end = self.end.get();
        if !since.is_empty() {
            file.append(since.freeze(), "last of the new log").await?;
        }
        file.append(Bytes::new(), "last of the new log").await?;
        give_name(&self.disk).await?;
        compaction.begun_with.set(file.end());
        self.current.replace(Some(file));
        if compaction.gap.get().is_some_and(|gap| gap <= moment) {
            compaction.gap.set(None);
        }
        compaction.written.replace(None);
        compaction.done.set(compaction.done.get() + 1);
        self.became_durable(end);
        Ok(())
    }
}

/// Begins a file that is to take the log's place.
pub(super) async fn begin(env: &Env, disk: &Disk, log_bytes: u64) -> io::Result<LogFile> {
    disk.remove(UNFINISHED).wait("remove log").await?;
    LogFile::begin(env, disk, UNFINISHED, log_bytes).await
}

/// Gives it its name.
pub(super) async fn give_name(disk: &Disk) -> io::Result<()> {
    disk.rename(UNFINISHED, NAME).wait("new log").await
}
