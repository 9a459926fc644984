//! The log file: append-only, flushed in groups, and now and then replaced by a shorter one that begins with the state
//! that the changes so far have led to.

mod compact;
mod damage;
mod file;
mod piece;
mod proof;
mod recovery;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use depfast::{Disk, Env, ValueEvent};

use crate::config::Durability;
use crate::core::Record;
use compact::Compaction;
pub(crate) use compact::State;
pub use damage::{Damage, What};
use file::LogFile;
use piece::Piece;
use recovery::Found;
pub(crate) use recovery::Recovered;

const NAME: &str = "copilot.log";

/// A point in the life of the log: everything appended before it is durable when the log is flushed up to there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(u64);

/// The log file of one replica. What is appended while a flush is under way leaves with the next one, in one write.
pub(crate) struct Wal {
    /// Absent if nothing is to be kept.
    current: RefCell<Option<Rc<LogFile>>>,
    env: Env,
    disk: Disk,
    queue: RefCell<BytesMut>,
    end: Cell<Lsn>,
    durable: ValueEvent<Lsn>,
    appended: ValueEvent<()>,
    /// Whether the last frame needs a proof.
    proof: Cell<bool>,
    failure: ValueEvent<Option<Rc<io::Error>>>,
    compaction: Compaction,
}

impl Wal {
    /// Opens the log file and reads what it says, up to a torn end. It is worth replacing when what follows its state is
    /// longer than that, and than `log_bytes`.
    ///
    /// # Errors
    ///
    /// The disk fails, or the file is damaged: then the error holds a [`Damage`].
    pub(crate) async fn open(
        env: &Env,
        durability: Durability,
        log_bytes: u64,
    ) -> io::Result<(Rc<Self>, Recovered)> {
        let (mut recovered, mut begun_with) = (Recovered::default(), 0);
        let mut current = None;
        let disk = env.disk();
        if durability == Durability::Fsync {
            let file = match recovery::read(&disk).await? {
                Some(Found {
                    recovered: found,
                    file,
                    state_end,
                    is_proven,
                }) => {
                    (recovered, begun_with) = (found, state_end);
                    if !is_proven {
                        file.append(Bytes::new(), "prove log").await?;
                    }
                    file
                }
                None => {
                    let file = compact::begin(env, &disk, log_bytes).await?;
                    compact::give_name(&disk).await?;
                    file
                }
            };
            current = Some(Rc::new(file));
        }
        let wal = Rc::new(Self {
            current: RefCell::new(current),
            env: env.clone(),
            disk,
            queue: RefCell::default(),
            end: Cell::default(),
            durable: ValueEvent::new(env, Lsn::default()),
            appended: ValueEvent::new(env, ()),
            proof: Cell::default(),
            failure: ValueEvent::new(env, None),
            compaction: Compaction::new(env, log_bytes, begun_with),
        });
        let flushing = Rc::clone(&wal);
        env.spawn(async move { flushing.flush_forever().await });
        let proving = Rc::clone(&wal);
        env.spawn(async move { proving.prove_forever().await });
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
            piece::put(&Piece::Change(record.clone()), &mut queue);
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
                    !self.queue.borrow().is_empty()
                        || self.compaction.is_written()
                        || self.proof.get()
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
        let Some(file) = self.current.borrow().clone() else {
            return Ok(());
        };
        self.proof.set(false);
        let bytes = self.queue.borrow_mut().split().freeze();
        let end = self.end.get();
        file.append(bytes, "log flush").await?;
        self.became_durable(end);
        self.compaction.consider(file.end());
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
