//! Files, each with an I/O thread of its own, so that a slow disk blocks no coroutine.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;

use bytes::Bytes;
use nix::sys::uio::pwritev;
use tokio::sync::mpsc as completion;

use crate::disk::{DiskBackend, Done, FileBackend, FileOp, Flush, OpenFile};

/// What an I/O thread reports: which operation, and its result.
type Report = (u64, io::Result<Bytes>);

pub(super) struct RealDisk {
    directory: PathBuf,
    outstanding: Rc<Outstanding>,
    reports: completion::UnboundedSender<Report>,
}

#[derive(Default)]
struct Outstanding {
    last_id: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Done<Bytes>>>,
}

/// Hands the reports of the I/O threads to those who wait for them.
pub(super) struct Completions {
    outstanding: Rc<Outstanding>,
    reports: completion::UnboundedReceiver<Report>,
}

impl Completions {
    pub(super) async fn drive(mut self) {
        while let Some((id, result)) = self.reports.recv().await {
            let done = self.outstanding.waiting.borrow_mut().remove(&id);
            if let Some(done) = done {
                done(result);
            }
        }
    }
}

impl RealDisk {
    pub(super) fn new(directory: PathBuf) -> (Self, Completions) {
        let (reports, receiver) = completion::unbounded_channel();
        let outstanding = Rc::<Outstanding>::default();
        let completions = Completions {
            outstanding: Rc::clone(&outstanding),
            reports: receiver,
        };
        (
            Self {
                directory,
                outstanding,
                reports,
            },
            completions,
        )
    }
}

impl DiskBackend for RealDisk {
    // Opening happens once, before a node serves anyone, so it needs no thread.
    fn open(&self, name: String, done: Done<OpenFile>) {
        let opened = open_durably(&self.directory, &name).and_then(|file| {
            let length = file.metadata()?.len();
            let (operations, receiver) = mpsc::channel();
            let reports = self.reports.clone();
            std::thread::Builder::new()
                .name(format!("io {name}"))
                .spawn(move || serve_file(&file, &receiver, &reports))?;
            let backend: Rc<dyn FileBackend> = Rc::new(RealFile {
                operations,
                outstanding: Rc::clone(&self.outstanding),
            });
            Ok((backend, length))
        });
        done(opened);
    }
}

fn open_durably(directory: &Path, name: &str) -> io::Result<fs::File> {
    fs::create_dir_all(directory)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join(name))?;
    file.sync_all()?;
    fs::File::open(directory)?.sync_all()?;
    if let Some(parent) = directory.canonicalize()?.parent() {
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(file)
}

struct RealFile {
    operations: mpsc::Sender<(u64, FileOp)>,
    outstanding: Rc<Outstanding>,
}

impl FileBackend for RealFile {
    fn submit(&self, operation: FileOp, done: Done<Bytes>) {
        let id = self.outstanding.last_id.get() + 1;
        self.outstanding.last_id.set(id);
        if self.operations.send((id, operation)).is_err() {
            done(Err(io::Error::other("the I/O thread is gone")));
            return;
        }
        self.outstanding.waiting.borrow_mut().insert(id, done);
    }
}

fn serve_file(
    file: &fs::File,
    operations: &mpsc::Receiver<(u64, FileOp)>,
    reports: &completion::UnboundedSender<Report>,
) {
    for (id, operation) in operations {
        if reports.send((id, perform(file, operation))).is_err() {
            return;
        }
    }
}

fn perform(file: &fs::File, operation: FileOp) -> io::Result<Bytes> {
    match operation {
        FileOp::Read { offset, length } => read(file, offset, length),
        FileOp::Write {
            offset,
            parts,
            flush,
        } => {
            write(file, offset, &parts)?;
            if flush == Flush::Data {
                file.sync_data()?;
            }
            Ok(Bytes::new())
        }
        FileOp::Truncate { length } => {
            file.set_len(length)?;
            file.sync_all()?;
            Ok(Bytes::new())
        }
    }
}

fn read(file: &fs::File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

/// The kernel takes at most 1024 pieces in one call.
const PIECES: usize = 1024;

fn write(file: &fs::File, mut offset: u64, parts: &[Bytes]) -> io::Result<()> {
    for group in parts.chunks(PIECES) {
        let slices: Vec<_> = group.iter().map(|part| io::IoSlice::new(part)).collect();
        let total: usize = group.iter().map(Bytes::len).sum();
        let position = i64::try_from(offset).map_err(io::Error::other)?;
        let written = pwritev(file, &slices, position)?;
        if written < total {
            // A short write is rare; finish it piece by piece.
            let rest = group.concat();
            file.write_all_at(&rest[written..], offset + written as u64)?;
        }
        offset += total as u64;
    }
    Ok(())
}
