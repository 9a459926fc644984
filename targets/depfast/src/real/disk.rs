//! Files, each with an I/O thread of its own, so that a slow disk blocks no coroutine, and a thread for the directory.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;

use bytes::Bytes;
use tokio::sync::mpsc as completion;

use super::{directory, file};
use crate::disk::{Change, DiskBackend, Done, FileBackend, FileOp, Missing, OpenFile};

/// What an operation gave.
pub(super) enum Outcome {
    Bytes(Bytes),
    Opened(fs::File, u64),
    Names(Vec<String>),
    Done,
}

/// What an I/O thread reports: which operation, and its result.
type Report = (u64, io::Result<Outcome>);

/// A queue of operations to an I/O thread.
type Operations<T> = mpsc::Sender<(u64, T)>;

pub(super) struct RealDisk {
    path: PathBuf,
    shared: Rc<Shared>,
    /// The thread for the directory, started when it is first needed.
    directory: OnceCell<Operations<directory::Op>>,
}

/// What the files and the directory have in common.
struct Shared {
    last_id: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Done<Outcome>>>,
    reports: completion::UnboundedSender<Report>,
}

/// Hands the reports of the I/O threads to those who wait for them.
pub(super) struct Completions {
    shared: Rc<Shared>,
    reports: completion::UnboundedReceiver<Report>,
}

impl Completions {
    pub(super) async fn drive(mut self) {
        while let Some((id, result)) = self.reports.recv().await {
            let done = self.shared.waiting.borrow_mut().remove(&id);
            if let Some(done) = done {
                done(result);
            }
        }
    }
}

impl Shared {
    /// Starts a thread that carries out operations one after the other.
    fn start_thread<T: Send + 'static>(
        &self,
        name: String,
        mut perform: impl FnMut(T) -> io::Result<Outcome> + Send + 'static,
    ) -> io::Result<Operations<T>> {
        let (operations, receiver) = mpsc::channel();
        let reports = self.reports.clone();
        std::thread::Builder::new().name(name).spawn(move || {
            for (id, operation) in receiver {
                if reports.send((id, perform(operation))).is_err() {
                    return;
                }
            }
        })?;
        Ok(operations)
    }

    fn submit<T>(&self, thread: &Operations<T>, operation: T, done: Done<Outcome>) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        if thread.send((id, operation)).is_err() {
            done(Err(io::Error::other("the I/O thread is gone")));
            return;
        }
        self.waiting.borrow_mut().insert(id, done);
    }
}

impl RealDisk {
    pub(super) fn new(path: PathBuf) -> (Self, Completions) {
        let (reports, receiver) = completion::unbounded_channel();
        let shared = Rc::new(Shared {
            last_id: Cell::default(),
            waiting: RefCell::default(),
            reports,
        });
        let completions = Completions {
            shared: Rc::clone(&shared),
            reports: receiver,
        };
        let directory = OnceCell::new();
        (
            Self {
                path,
                shared,
                directory,
            },
            completions,
        )
    }

    fn submit(&self, operation: directory::Op, done: Done<Outcome>) {
        let thread = match self.directory.get() {
            Some(thread) => thread,
            None => {
                let path = self.path.clone();
                let perform = move |operation| directory::perform(&path, operation);
                match self.shared.start_thread("io directory".into(), perform) {
                    Ok(thread) => self.directory.get_or_init(|| thread),
                    Err(error) => return done(Err(error)),
                }
            }
        };
        self.shared.submit(thread, operation, done);
    }
}

impl DiskBackend for RealDisk {
    fn open(&self, name: String, missing: Missing, done: Done<OpenFile>) {
        let shared = Rc::clone(&self.shared);
        let operation = directory::Op::Open(name.clone(), missing);
        let opened = move |outcome: io::Result<Outcome>| {
            done(outcome.and_then(|outcome| {
                let Outcome::Opened(file, length) = outcome else {
                    unreachable!("an opening opens")
                };
                let perform = move |operation| file::perform(&file, operation).map(Outcome::Bytes);
                let operations = shared.start_thread(format!("io {name}"), perform)?;
                let backend: Rc<dyn FileBackend> = Rc::new(RealFile {
                    operations,
                    shared,
                    waiting: Rc::default(),
                });
                Ok((backend, length))
            }));
        };
        self.submit(operation, Box::new(opened));
    }

    fn list(&self, done: Done<Vec<String>>) {
        let listed = move |outcome: io::Result<Outcome>| {
            done(outcome.map(|outcome| match outcome {
                Outcome::Names(names) => names,
                _ => unreachable!("a listing lists"),
            }));
        };
        self.submit(directory::Op::List, Box::new(listed));
    }

    fn change(&self, change: Change, done: Done<()>) {
        let changed = move |outcome: io::Result<Outcome>| done(outcome.map(|_| ()));
        self.submit(directory::Op::Change(change), Box::new(changed));
    }
}

/// What may wait for a file's thread, in bytes. Protocols wait for their writes long before that.
const WAITING: usize = 256 << 20;
/// What an operation costs besides its bytes.
const OVERHEAD: usize = 256;

struct RealFile {
    operations: Operations<FileOp>,
    shared: Rc<Shared>,
    /// The cost of all operations that are not done.
    waiting: Rc<Cell<usize>>,
}

impl FileBackend for RealFile {
    fn submit(&self, operation: FileOp, done: Done<Bytes>) {
        let bytes: usize = match &operation {
            FileOp::Write { parts, .. } => parts.iter().map(Bytes::len).sum(),
            FileOp::Read { length, .. } => *length,
            FileOp::Truncate { .. } | FileOp::Allocate { .. } => 0,
        };
        let (cost, before) = (bytes + OVERHEAD, self.waiting.get());
        if before > 0 && before + cost > WAITING {
            let why = "too much waits for the disk already";
            return done(Err(io::Error::new(io::ErrorKind::ResourceBusy, why)));
        }
        self.waiting.set(before + cost);
        let waiting = Rc::clone(&self.waiting);
        let finished = move |outcome: io::Result<Outcome>| {
            waiting.set(waiting.get() - cost);
            done(outcome.map(|outcome| match outcome {
                Outcome::Bytes(bytes) => bytes,
                _ => unreachable!("a file operation gives bytes"),
            }));
        };
        self.shared
            .submit(&self.operations, operation, Box::new(finished));
    }
}
