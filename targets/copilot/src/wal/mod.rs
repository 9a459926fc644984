//! The log file: append-only, flushed in groups, and now and then replaced by a shorter one that begins with the state
//! that the changes so far have led to.

mod compact;
mod frame;
mod recovery;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use bytes::BytesMut;
use depfast::disk::Flush;
use depfast::{Disk, Env, File, ValueEvent};

use crate::config::Durability;
use crate::core::Record;
use compact::Compaction;
pub(crate) use compact::State;
use frame::Piece;
pub(crate) use recovery::Recovered;

const NAME: &str = "copilot.log";

/// A point in the life of the log: everything appended before it is durable when the log is flushed up to there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(u64);

/// The log file of one replica. What is appended while a flush is under way leaves with the next one, in one write.
pub(crate) struct Wal {
    /// Absent if nothing is to be kept.
    current: RefCell<Option<Current>>,
    disk: Disk,
    queue: RefCell<BytesMut>,
    end: Cell<Lsn>,
    durable: ValueEvent<Lsn>,
    appended: ValueEvent<()>,
    failure: ValueEvent<Option<Rc<io::Error>>>,
    compaction: Compaction,
}

/// The file that is written to.
#[derive(Clone)]
struct Current {
    file: Rc<File>,
    /// Where the next write goes.
    place: u64,
}

impl Wal {
    /// Opens the log file and reads what it says, up to a torn end, which is cut off. It is worth replacing when what
    /// follows its state is longer than that, and than `log_bytes`.
    pub(crate) async fn open(
        env: &Env,
        durability: Durability,
        log_bytes: u64,
    ) -> io::Result<(Rc<Self>, Recovered)> {
        let (mut recovered, mut begun_with) = (Recovered::default(), 0);
        let mut current = None;
        let disk = env.disk();
        if durability == Durability::Fsync {
            let file = disk.open(NAME).wait("open log").await?;
            compact::remove_unfinished(&disk).await?;
            let (found, lengths) = recovery::read(&file).await?;
            recovered = found;
            begun_with = lengths.state;
            let place = lengths.sound;
            if place < file.length_when_opened() {
                file.truncate(place).wait("cut log").await?;
            }
            let file = Rc::new(file);
            current = Some(Current { file, place });
        }
        let wal = Rc::new(Self {
            current: RefCell::new(current),
            disk,
            queue: RefCell::default(),
            end: Cell::default(),
            durable: ValueEvent::new(env, Lsn::default()),
            appended: ValueEvent::new(env, ()),
            failure: ValueEvent::new(env, None),
            compaction: Compaction::new(env, log_bytes, begun_with),
        });
        let flushing = Rc::clone(&wal);
        env.spawn(async move { flushing.flush_forever().await });
        Ok((wal, recovered))
    }

    /// Whether anything is kept.
    pub(crate) fn keeps(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// Appends records.
    pub(crate) fn append(&self, records: &[Record]) {
        if records.is_empty() || !self.keeps() {
            return;
        }
        let mut queue = self.queue.borrow_mut();
        let before = queue.len();
        for record in records {
            frame::put(&Piece::Change(record.clone()), &mut queue);
        }
        self.compaction.note(&queue[before..]);
        self.end
            .set(Lsn(self.end.get().0 + (queue.len() - before) as u64));
        drop(queue);
        self.appended.set(());
    }

    /// Everything appended so far is durable when the log is durable up to here.
    pub(crate) const fn end(&self) -> Lsn {
        self.end.get()
    }

    /// Whether everything appended so far is durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable.get() >= self.end.get()
    }

    /// Up to where the log is durable.
    pub(crate) const fn durable(&self) -> &ValueEvent<Lsn> {
        &self.durable
    }

    /// Suspends the coroutine until everything appended so far is durable.
    pub(crate) async fn flushed(&self, label: &'static str) {
        let end = self.end.get();
        if self.durable.get() < end {
            self.durable.wait(label, |durable| *durable >= end).await;
        }
    }

    /// What went wrong. After that nothing becomes durable any more and the replica must stop: which of the unflushed
    /// bytes are on disk is unknown, and a later flush that succeeds would not tell.
    pub(crate) const fn failure(&self) -> &ValueEvent<Option<Rc<io::Error>>> {
        &self.failure
    }

    async fn flush_forever(&self) {
        loop {
            self.appended
                .wait("log records", |()| {
                    !self.queue.borrow().is_empty() || self.compaction.is_written()
                })
                .await;
            let flushed = if self.compaction.is_written() {
                self.switch().await
            } else {
                self.flush().await
            };
            if let Err(error) = flushed {
                self.failure.set(Some(Rc::new(error)));
                return;
            }
        }
    }

    async fn flush(&self) -> io::Result<()> {
        let Some(Current { file, place }) = self.current.borrow().clone() else {
            return Ok(());
        };
        let bytes = self.queue.borrow_mut().split().freeze();
        let (end, length) = (self.end.get(), bytes.len() as u64);
        file.write(place, vec![bytes], Flush::Data)
            .wait("log flush")
            .await?;
        let place = place + length;
        self.current.replace(Some(Current { file, place }));
        self.became_durable(end);
        self.compaction.consider(place);
        Ok(())
    }

    fn became_durable(&self, end: Lsn) {
        let known = self.durable.get();
        let durable = if self.compaction.is_gapless() {
            end
        } else {
            known
        };
        self.durable.set(durable);
    }
}
