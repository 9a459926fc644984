//! Files that forget: what was not flushed when the node crashes is lost, torn or kept, each write for itself.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::content::{Content, write_at};
use super::world::World;
use crate::disk::{Change, DiskBackend, Done, FileBackend, FileOp, Flush, Missing, OpenFile};
use crate::id::NodeId;
use crate::rng::Rng;
use crate::time::Instant;

/// How long the operations of a disk take.
#[derive(Clone, Debug)]
pub struct DiskSpeed {
    /// A read, or a write that is not flushed.
    pub access: Range<Duration>,
    /// A flush.
    pub flush: Range<Duration>,
}

impl Default for DiskSpeed {
    fn default() -> Self {
        Self {
            access: Duration::from_micros(5)..Duration::from_micros(20),
            flush: Duration::from_micros(100)..Duration::from_micros(400),
        }
    }
}

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskFault {
    /// Nothing.
    #[default]
    None,
    /// Every write, flush and change of the directory fails.
    Error,
    /// Every operation fails.
    Dead,
    /// Reads and listings fail.
    Unreadable,
    /// Flushes fail, and what they should have kept is forgotten: after that the kernel does not try again.
    FlushFails,
    /// There is no space left: files cannot grow, but what they have can be written.
    Full,
    /// Flushes report success but keep nothing: a lying disk, or a protocol that forgot to flush.
    IgnoresFlush,
}

impl DiskFault {
    fn breaks_reads(self) -> bool {
        matches!(self, Self::Dead | Self::Unreadable)
    }

    fn breaks_writes(self) -> bool {
        matches!(self, Self::Dead | Self::Error)
    }
}

#[derive(Default)]
pub(super) struct SimDisk {
    pub(super) speed: RefCell<DiskSpeed>,
    pub(super) fault: Cell<DiskFault>,
    files: RefCell<BTreeMap<String, Rc<RefCell<Content>>>>,
    directory: RefCell<Directory>,
}

/// The changes of a directory that are under way: a crash lets the first of them happen, as many as chance has it.
#[derive(Default)]
struct Directory {
    changes: VecDeque<Change>,
    busy_until: Instant,
}

impl SimDisk {
    pub(super) fn crash(&self, rng: &mut Rng) {
        let under_way = std::mem::take(&mut *self.directory.borrow_mut()).changes;
        let happen = rng.below(0..under_way.len() as u64 + 1);
        for change in under_way.iter().zip(0..happen).map(|(change, _)| change) {
            let _what_it_names_is_gone = self.apply(change);
        }
        for file in self.files.borrow().values() {
            file.borrow_mut().crash(rng);
        }
    }

    pub(super) fn flip_bit(&self, suffix: &str, rng: &mut Rng) -> bool {
        let files = self.files.borrow();
        let mut files: Vec<_> = files
            .iter()
            .filter(|(name, file)| name.ends_with(suffix) && !file.borrow().stable.is_empty())
            .collect();
        if files.is_empty() {
            return false;
        }
        let chosen = rng.below(0..files.len() as u64);
        let (_, file) = files.swap_remove(usize::try_from(chosen).unwrap_or(0));
        file.borrow_mut().flip_bit(rng);
        true
    }

    fn apply(&self, change: &Change) -> io::Result<()> {
        let mut files = self.files.borrow_mut();
        match change {
            Change::Rename { from, to } => {
                let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
                files.insert(to.clone(), file);
            }
            Change::Remove { name } => {
                files.remove(name);
            }
        }
        Ok(())
    }
}

pub(super) struct NodeDisk {
    pub(super) world: Weak<World>,
    pub(super) node: NodeId,
    pub(super) epoch: u64,
}

impl DiskBackend for NodeDisk {
    fn open(&self, name: String, missing: Missing, done: Done<OpenFile>) {
        let (world, node, epoch) = (self.world.clone(), self.node, self.epoch);
        self.perform(None, move |disk| {
            if disk.fault.get() == DiskFault::Dead {
                return done(Err(io::ErrorKind::Other.into()));
            }
            let mut files = disk.files.borrow_mut();
            if missing == Missing::Refuse && !files.contains_key(&name) {
                return done(Err(io::ErrorKind::NotFound.into()));
            }
            let content = Rc::clone(files.entry(name).or_default());
            drop(files);
            // What an earlier process left in the page cache becomes durable.
            if disk.fault.get() != DiskFault::IgnoresFlush {
                content.borrow_mut().flush();
            }
            let length = content.borrow().live.len() as u64;
            let file: Rc<dyn FileBackend> = Rc::new(SimFile {
                world,
                node,
                epoch,
                disk: Rc::clone(disk),
                content,
            });
            done(Ok((file, length)));
        });
    }

    fn list(&self, done: Done<Vec<String>>) {
        self.perform(None, move |disk| {
            if disk.fault.get().breaks_reads() {
                return done(Err(io::ErrorKind::Other.into()));
            }
            done(Ok(disk.files.borrow().keys().cloned().collect()));
        });
    }

    fn change(&self, change: Change, done: Done<()>) {
        self.perform(Some(change), move |disk| {
            let change = disk.directory.borrow_mut().changes.pop_front();
            if disk.fault.get().breaks_writes() {
                return done(Err(io::ErrorKind::Other.into()));
            }
            done(change.map_or(Ok(()), |change| disk.apply(&change)));
        });
    }
}

impl NodeDisk {
    /// Has something done about the directory, after what was asked for before.
    fn perform(&self, change: Option<Change>, finish: impl FnOnce(&Rc<SimDisk>) + 'static) {
        let Some(world) = self.world.upgrade() else {
            return;
        };
        if !world.is_alive(self.node, self.epoch) {
            return;
        }
        let disk = world.disk(self.node);
        let duration = world.rng.borrow_mut().duration(&disk.speed.borrow().flush);
        let mut directory = disk.directory.borrow_mut();
        directory.changes.extend(change);
        directory.busy_until = directory.busy_until.max(world.now()) + duration;
        let delay = directory.busy_until.since(world.now());
        drop(directory);
        let (node, epoch) = (self.node, self.epoch);
        world.schedule(delay, move |world| {
            if world.is_alive(node, epoch) {
                finish(&disk);
            }
        });
    }
}

struct SimFile {
    world: Weak<World>,
    node: NodeId,
    epoch: u64,
    disk: Rc<SimDisk>,
    content: Rc<RefCell<Content>>,
}

impl SimFile {
    fn duration(&self, operation: &FileOp, rng: &mut Rng) -> Duration {
        let speed = self.disk.speed.borrow();
        let access = rng.duration(&speed.access);
        match operation {
            FileOp::Write {
                flush: Flush::Data, ..
            }
            | FileOp::Truncate { .. }
            | FileOp::Allocate { .. } => access + rng.duration(&speed.flush),
            FileOp::Read { .. } | FileOp::Write { .. } => access,
        }
    }
}

impl FileBackend for SimFile {
    fn submit(&self, operation: FileOp, done: Done<Bytes>) {
        let Some(world) = self.world.upgrade() else {
            return;
        };
        if !world.is_alive(self.node, self.epoch) {
            return;
        }
        let duration = self.duration(&operation, &mut world.rng.borrow_mut());
        let finished = self.content.borrow().busy_until.max(world.now()) + duration;
        self.content.borrow_mut().busy_until = finished;
        // Written from now on, durable only at the end: a crash in between may tear it.
        let failure = self.start(&operation);
        let (node, epoch) = (self.node, self.epoch);
        let (content, disk) = (Rc::clone(&self.content), Rc::clone(&self.disk));
        world.schedule(finished.since(world.now()), move |world| {
            if !world.is_alive(node, epoch) {
                return;
            }
            let result = match failure {
                Some(kind) => Err(kind.into()),
                None => Ok(finish(
                    &mut content.borrow_mut(),
                    &operation,
                    disk.fault.get(),
                )),
            };
            done(result);
        });
    }
}

impl SimFile {
    fn start(&self, operation: &FileOp) -> Option<io::ErrorKind> {
        let fault = self.disk.fault.get();
        let mut content = self.content.borrow_mut();
        let end = match operation {
            FileOp::Read { .. } => return fault.breaks_reads().then_some(io::ErrorKind::Other),
            FileOp::Write { offset, parts, .. } => {
                offset + parts.iter().map(|part| part.len() as u64).sum::<u64>()
            }
            FileOp::Truncate { length } | FileOp::Allocate { length } => *length,
        };
        if fault.breaks_writes() {
            return Some(io::ErrorKind::Other);
        }
        if fault == DiskFault::Full && end > content.live.len() as u64 {
            return Some(io::ErrorKind::StorageFull);
        }
        if let FileOp::Write { offset, parts, .. } = operation {
            let offset = usize::try_from(*offset).expect("simulated files are small");
            let bytes = Bytes::from(parts.concat());
            write_at(&mut content.live, offset, &bytes);
            content.unflushed.push((offset, bytes));
        }
        let unflushed = matches!(
            operation,
            FileOp::Write {
                flush: Flush::No,
                ..
            }
        );
        if fault == DiskFault::FlushFails && !unflushed {
            content.unflushed.clear();
            return Some(io::ErrorKind::Other);
        }
        None
    }
}

fn finish(content: &mut Content, operation: &FileOp, fault: DiskFault) -> Bytes {
    match operation {
        FileOp::Read { offset, length } => return content.read(*offset, *length),
        FileOp::Write {
            flush: Flush::No, ..
        } => {}
        FileOp::Write {
            flush: Flush::Data, ..
        } => {
            if fault != DiskFault::IgnoresFlush {
                content.flush();
            }
        }
        FileOp::Truncate { length } => {
            let length = usize::try_from(*length).expect("simulated files are small");
            content.flush();
            content.live.resize(length, 0);
            content.stable.resize(length, 0);
        }
        FileOp::Allocate { length } => {
            let length = usize::try_from(*length).expect("simulated files are small");
            let length = length.max(content.live.len());
            content.live.resize(length, 0);
            // Not a flush: what was written before may still be lost.
            let stable = length.max(content.stable.len());
            content.stable.resize(stable, 0);
        }
    }
    Bytes::new()
}
