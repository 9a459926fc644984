//! Snapshots: what the log up to some position has led to, in a file of its own.
//!
//! A snapshot is written in chunks, under another name; only when all of it is on stable storage does it take the place
//! of the one before, at once. A crash leaves the old one or the new one. A replica that receives a snapshot writes the
//! same chunks to the same places as the one that sends it, so both mean the same by an offset.

mod format;
mod reader;
mod writer;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use depfast::{Disk, Env, File};

pub use reader::{Chunk, SnapshotReader};
pub use writer::SnapshotWriter;

use super::record::LogStart;
use crate::config::Durability;
use crate::types::{LogIndex, Term};

const NAME: &str = "snapshot";
/// How the names of unfinished snapshots end.
const UNFINISHED: &str = ".unfinished";

/// What a snapshot stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry that is in it.
    pub index: LogIndex,
    /// The term of that entry.
    pub term: Term,
    /// The members of the group at that entry, in the protocol's encoding.
    pub configuration: Bytes,
}

impl SnapshotMeta {
    /// Where a log begins that continues the snapshot.
    pub const fn log_start(&self) -> LogStart {
        LogStart {
            after: self.index,
            term: self.term,
        }
    }
}

/// The snapshots of one replica: the current one, and those that are being written.
pub struct Snapshots {
    /// Absent if nothing is to be kept.
    disk: Option<Disk>,
    current: RefCell<Option<Current>>,
    /// The most recent one that is finished, or about to take its place.
    finished: Cell<LogIndex>,
    begun: Cell<u64>,
}

#[derive(Clone)]
struct Current {
    meta: SnapshotMeta,
    first_chunk: u64,
    length: u64,
    content: Content,
}

/// Where a snapshot lies.
#[derive(Clone)]
enum Content {
    File(Rc<File>),
    /// The records by their places in the file that they would be.
    Memory(Rc<RefCell<BTreeMap<u64, Bytes>>>),
}

impl Snapshots {
    /// Finds the current snapshot, and removes what a crash left unfinished.
    ///
    /// # Errors
    ///
    /// The disk fails, or the snapshot is damaged; the message says where.
    pub async fn open(env: &Env, durability: Durability) -> io::Result<Rc<Self>> {
        let disk = match durability {
            Durability::Fsync => Some(env.disk()),
            Durability::Memory => None,
        };
        let mut current = None;
        if let Some(disk) = &disk {
            for name in disk.list().wait("list snapshots").await? {
                if name.starts_with(NAME) && name.ends_with(UNFINISHED) {
                    match disk.remove(&name).wait("remove snapshot").await {
                        // Whoever dropped it may be about to remove it as well.
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                } else if name == NAME {
                    let file = Rc::new(disk.open(NAME).wait("open snapshot").await?);
                    let length = file.length_when_opened();
                    let content = Content::File(file);
                    let (meta, first_chunk) = reader::read_meta(&content).await?;
                    current = Some(Current {
                        meta,
                        first_chunk,
                        length,
                        content,
                    });
                }
            }
        }
        let finished = current.as_ref().map(|current: &Current| current.meta.index);
        Ok(Rc::new(Self {
            disk,
            current: RefCell::new(current),
            finished: Cell::new(finished.unwrap_or_default()),
            begun: Cell::default(),
        }))
    }

    /// What the current snapshot stands for, if there is one.
    pub fn latest(&self) -> Option<SnapshotMeta> {
        Some(self.current.borrow().as_ref()?.meta.clone())
    }

    /// How many bytes the current snapshot has; zero if there is none.
    pub fn length(&self) -> u64 {
        let current = self.current.borrow();
        current.as_ref().map_or(0, |current| current.length)
    }

    /// The current snapshot, to be read. It stays readable when another one takes its place.
    pub fn reader(&self) -> Option<SnapshotReader> {
        self.current.borrow().clone().map(SnapshotReader::new)
    }

    /// Begins a snapshot. It does not count before it is [finished](SnapshotWriter::finish), and leaves nothing if it
    /// is dropped before.
    ///
    /// # Errors
    ///
    /// The disk fails. If it is [full](super::is_full), nothing is lost but this snapshot.
    pub async fn begin(self: &Rc<Self>, meta: SnapshotMeta) -> io::Result<SnapshotWriter> {
        let number = self.begun.get() + 1;
        self.begun.set(number);
        let name = format!("{NAME}.{number}{UNFINISHED}");
        let content = match &self.disk {
            Some(disk) => Content::File(Rc::new(disk.open(&name).wait("begin snapshot").await?)),
            None => Content::Memory(Rc::default()),
        };
        SnapshotWriter::begin(Rc::clone(self), name, meta, content).await
    }
}
