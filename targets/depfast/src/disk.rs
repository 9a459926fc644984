//! Files, as protocol code sees them: every operation is an event.

use std::io;
use std::rc::Rc;

use bytes::Bytes;

use crate::event::{Completion, DiskEvent};
use crate::trace::Trace;

pub(crate) type Done<T> = Box<dyn FnOnce(io::Result<T>)>;

/// A data directory of some environment.
pub(crate) trait DiskBackend {
    /// Opens the file, creating it durably if it does not exist.
    fn open(&self, name: String, done: Done<OpenFile>);
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
    trace: Rc<Trace>,
}

impl Disk {
    pub(crate) const fn new(backend: Rc<dyn DiskBackend>, trace: Rc<Trace>) -> Self {
        Self { backend, trace }
    }

    /// Opens `name` for reading and writing; a new file is durable before the event is triggered.
    pub fn open(&self, name: &str) -> DiskEvent<File> {
        let completion = Completion::default();
        let (opened, trace) = (completion.clone(), Rc::clone(&self.trace));
        let done = move |result: io::Result<OpenFile>| {
            opened.complete(result.map(|(backend, length)| File {
                backend,
                length,
                trace,
            }));
        };
        self.backend.open(name.to_owned(), Box::new(done));
        DiskEvent {
            completion,
            trace: Rc::clone(&self.trace),
        }
    }
}

/// An open file.
pub struct File {
    backend: Rc<dyn FileBackend>,
    length: u64,
    trace: Rc<Trace>,
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
    /// After an error nothing is known about the bytes in that range, nor about earlier unflushed ones.
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

    fn submit<T: 'static>(&self, operation: FileOp, map: fn(Bytes) -> T) -> DiskEvent<T> {
        let completion = Completion::default();
        let finished = completion.clone();
        self.backend.submit(
            operation,
            Box::new(move |result| finished.complete(result.map(map))),
        );
        DiskEvent {
            completion,
            trace: Rc::clone(&self.trace),
        }
    }
}
