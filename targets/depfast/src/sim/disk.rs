//! Files that forget: what was not flushed when the node crashes is lost, torn or kept, each write for itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::world::World;
use crate::disk::{DiskBackend, Done, FileBackend, FileOp, Flush, OpenFile};
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
    /// Every write and flush fails.
    Error,
    /// Writes fail for lack of space.
    Full,
    /// Flushes report success but keep nothing: a lying disk, or a protocol that forgot to flush.
    IgnoresFlush,
}

#[derive(Default)]
pub(super) struct SimDisk {
    pub(super) speed: RefCell<DiskSpeed>,
    pub(super) fault: Cell<DiskFault>,
    files: RefCell<BTreeMap<String, Rc<RefCell<Content>>>>,
}

#[derive(Default)]
struct Content {
    /// What readers see.
    live: Vec<u8>,
    /// What survives a crash for certain.
    stable: Vec<u8>,
    unflushed: Vec<(usize, Bytes)>,
    /// When the last submitted operation will be done: operations keep their order.
    busy_until: Instant,
}

impl SimDisk {
    pub(super) fn crash(&self, rng: &mut Rng) {
        for file in self.files.borrow().values() {
            file.borrow_mut().crash(rng);
        }
    }
}

impl Content {
    fn crash(&mut self, rng: &mut Rng) {
        for (offset, bytes) in std::mem::take(&mut self.unflushed) {
            let kept = match rng.below(0..4) {
                0 => bytes.len(),
                1 | 2 => usize::try_from(rng.below(0..bytes.len() as u64)).unwrap_or(0),
                _ => 0,
            };
            write_at(&mut self.stable, offset, &bytes[..kept]);
        }
        self.live.clone_from(&self.stable);
        self.busy_until = Instant::START;
    }

    fn flush(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.unflushed) {
            write_at(&mut self.stable, offset, &bytes);
        }
    }

    fn read(&self, offset: u64, length: usize) -> Bytes {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.live.len());
        Bytes::copy_from_slice(&self.live[start..(start + length).min(self.live.len())])
    }
}

fn write_at(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

pub(super) struct NodeDisk {
    pub(super) world: Weak<World>,
    pub(super) node: NodeId,
    pub(super) epoch: u64,
}

impl DiskBackend for NodeDisk {
    fn open(&self, name: String, done: Done<OpenFile>) {
        let Some(world) = self.world.upgrade() else {
            return;
        };
        let disk = world.disk(self.node);
        let content = Rc::clone(disk.files.borrow_mut().entry(name).or_default());
        let length = content.borrow().live.len() as u64;
        let file: Rc<dyn FileBackend> = Rc::new(SimFile {
            world: self.world.clone(),
            node: self.node,
            epoch: self.epoch,
            disk,
            content,
        });
        done(Ok((file, length)));
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
            | FileOp::Truncate { .. } => access + rng.duration(&speed.flush),
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
        let FileOp::Write { offset, parts, .. } = operation else {
            return None;
        };
        match self.disk.fault.get() {
            DiskFault::Error => return Some(io::ErrorKind::Other),
            DiskFault::Full => return Some(io::ErrorKind::StorageFull),
            DiskFault::None | DiskFault::IgnoresFlush => {}
        }
        let offset = usize::try_from(*offset).expect("simulated files are small");
        let bytes = Bytes::from(parts.concat());
        let mut content = self.content.borrow_mut();
        write_at(&mut content.live, offset, &bytes);
        content.unflushed.push((offset, bytes));
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
    }
    Bytes::new()
}
