//! Files, as protocol code sees them: every operation is an event.

pub mod frame;

use std::io;
use std::rc::Rc;

use bytes::Bytes;

use crate::env::Env;
use crate::event::{Completion, DiskEvent};

pub(crate) type Done<T> = Box<dyn FnOnce(io::Result<T>)>;

/// A data directory of some environment. Operations are carried out in the order of submission.
pub(crate) trait DiskBackend {
    fn open(&self, name: String, missing: Missing, done: Done<OpenFile>);
    fn list(&self, done: Done<Vec<String>>);
    fn change(&self, change: Change, done: Done<()>);
}

/// What to do if a file that is to be opened does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Create it, durably.
    Create,
    /// Fail.
    Refuse,
}

/// A change of a directory. It is durable when it is done.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Rename { from: String, to: String },
    Remove { name: String },
}

/// An open file and its length.
pub(crate) type OpenFile = (Rc<dyn FileBackend>, u64);

/// An open file of some environment. Operations are carried out in the order of submission.
pub(crate) trait FileBackend {
    fn submit(&self, operation: FileOp, done: Done<Bytes>);
}

/// One operation on a file.
pub(crate) enum FileOp {
    Read {
        offset: u64,
        length: usize,
    },
    Write {
        offset: u64,
        parts: Vec<Bytes>,
        flush: Flush,
    },
    Truncate {
        length: u64,
    },
    Allocate {
        length: u64,
    },
}

/// Whether a write also makes everything before it durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// It may be lost in a crash.
    No,
    /// The data is on stable storage when the event is triggered (`fdatasync`).
    Data,
}

/// A node's data directory.
#[derive(Clone)]
pub struct Disk {
    backend: Rc<dyn DiskBackend>,
    env: Env,
}

impl Disk {
    pub(crate) const fn new(backend: Rc<dyn DiskBackend>, env: Env) -> Self {
        Self { backend, env }
    }

    /// Opens `name` for reading and writing; a new file is durable before the event is triggered.
    pub fn open(&self, name: &str) -> DiskEvent<File> {
        self.open_or(Missing::Create, name)
    }

    /// Opens `name` for reading and writing; the error is of kind [`NotFound`](io::ErrorKind::NotFound) if there is no
    /// such file.
    pub fn open_existing(&self, name: &str) -> DiskEvent<File> {
        self.open_or(Missing::Refuse, name)
    }

    fn open_or(&self, missing: Missing, name: &str) -> DiskEvent<File> {
        let env = self.env.clone();
        let (done, event) = self.event(move |(backend, length)| File {
            backend,
            length,
            env,
        });
        self.backend.open(name.to_owned(), missing, done);
        event
    }

    /// The names of all files, in order.
    pub fn list(&self) -> DiskEvent<Vec<String>> {
        let (done, event) = self.event(|names| names);
        self.backend.list(done);
        event
    }

    /// Gives the file `from` the name `to`, at once and durably; a file that had that name is gone.
    pub fn rename(&self, from: &str, to: &str) -> DiskEvent<()> {
        self.change(Change::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    /// Removes a file if there is one, durably. Whoever has it open still can use it.
    pub fn remove(&self, name: &str) -> DiskEvent<()> {
        self.change(Change::Remove {
            name: name.to_owned(),
        })
    }

    fn change(&self, change: Change) -> DiskEvent<()> {
        let (done, event) = self.event(|()| ());
        self.backend.change(change, done);
        event
    }

    /// An event, and what completes it.
    fn event<T: 'static, R: 'static>(
        &self,
        map: impl FnOnce(R) -> T + 'static,
    ) -> (Done<R>, DiskEvent<T>) {
        let completion = Completion::default();
        let finished = completion.clone();
        let done = move |result: io::Result<R>| finished.complete(result.map(map));
        let env = self.env.clone();
        (Box::new(done), DiskEvent { completion, env })
    }
}

/// An open file.
pub struct File {
    backend: Rc<dyn FileBackend>,
    length: u64,
    env: Env,
}

impl File {
    /// The length at the time of opening.
    pub const fn length_when_opened(&self) -> u64 {
        self.length
    }

    /// Reads up to `length` bytes from `offset`; fewer only at the end of the file.
    pub fn read(&self, offset: u64, length: usize) -> DiskEvent<Bytes> {
        self.submit(FileOp::Read { offset, length }, |bytes| bytes)
    }

    /// Writes `parts` one after the other from `offset`, and makes them durable if `flush` says so.
    ///
    /// After an error nothing is known about the bytes in that range, nor about earlier unflushed ones. Only an error
    /// of kind [`StorageFull`](io::ErrorKind::StorageFull) or [`QuotaExceeded`](io::ErrorKind::QuotaExceeded) says that
    /// no flush was tried, so that the write may be repeated when there is space.
    pub fn write(&self, offset: u64, parts: Vec<Bytes>, flush: Flush) -> DiskEvent<()> {
        self.submit(
            FileOp::Write {
                offset,
                parts,
                flush,
            },
            |_| (),
        )
    }

    /// Cuts or extends the file to `length`, durably.
    pub fn truncate(&self, length: u64) -> DiskEvent<()> {
        self.submit(FileOp::Truncate { length }, |_| ())
    }

    /// Reserves space for `length` bytes, durably: writes into it do not run out of space. What is added reads as zeros.
    ///
    /// An error of kind [`StorageFull`](io::ErrorKind::StorageFull) or [`QuotaExceeded`](io::ErrorKind::QuotaExceeded)
    /// leaves what was in the file as it was.
    pub fn allocate(&self, length: u64) -> DiskEvent<()> {
        self.submit(FileOp::Allocate { length }, |_| ())
    }

    fn submit<T: 'static>(&self, operation: FileOp, map: fn(Bytes) -> T) -> DiskEvent<T> {
        let completion = Completion::default();
        let finished = completion.clone();
        self.backend.submit(
            operation,
            Box::new(move |result| finished.complete(result.map(map))),
        );
        DiskEvent {
            completion,
            env: self.env.clone(),
        }
    }
}
