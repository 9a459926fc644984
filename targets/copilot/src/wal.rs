//! The log file: append-only, flushed in groups. A record is `length u32 | checksum u32 | bytes`.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use depfast::disk::Flush;
use depfast::{Env, File, ValueEvent};

use crate::config::Durability;
use crate::core::Record;
use crate::wire::Wire;

const NAME: &str = "copilot.log";
/// How much of the file is read at a time.
const CHUNK: usize = 1 << 20;
const PREFIX: usize = 8;

/// A place in the log file: everything appended before it is durable when the file is flushed up to there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(u64);

/// The log file of one replica. What is appended while a flush is under way leaves with the next one, in one write.
pub(crate) struct Wal {
    /// Absent if nothing is to be kept.
    file: Option<File>,
    queue: RefCell<BytesMut>,
    end: Cell<Lsn>,
    durable: ValueEvent<Lsn>,
    appended: ValueEvent<()>,
    failure: ValueEvent<Option<Rc<io::Error>>>,
}

impl Wal {
    /// Opens the log file and reads what it says, up to a torn end, which is cut off.
    pub(crate) async fn open(
        env: &Env,
        durability: Durability,
    ) -> io::Result<(Rc<Self>, Vec<Record>)> {
        let mut records = Vec::new();
        let mut start = Lsn::default();
        let file = match durability {
            Durability::Memory => None,
            Durability::Fsync => {
                let file = env.disk().open(NAME).wait("open log").await?;
                start = recover(&file, &mut records).await?;
                if start.0 < file.length_when_opened() {
                    file.truncate(start.0).wait("cut log").await?;
                }
                Some(file)
            }
        };
        let wal = Rc::new(Self {
            file,
            queue: RefCell::default(),
            end: Cell::new(start),
            durable: ValueEvent::new(env, start),
            appended: ValueEvent::new(env, ()),
            failure: ValueEvent::new(env, None),
        });
        let flushing = Rc::clone(&wal);
        env.spawn(async move { flushing.flush_forever().await });
        Ok((wal, records))
    }

    /// Whether anything is kept.
    pub(crate) const fn keeps(&self) -> bool {
        self.file.is_some()
    }

    /// Appends records.
    pub(crate) fn append(&self, records: &[Record]) {
        if records.is_empty() || !self.keeps() {
            return;
        }
        let mut queue = self.queue.borrow_mut();
        let before = queue.len();
        for record in records {
            let start = queue.len();
            queue.put_bytes(0, PREFIX);
            record.put(&mut queue);
            let body = start + PREFIX;
            let length = u32::try_from(queue.len() - body).expect("records are far below 4 GiB");
            let checksum = crc32fast::hash(&queue[body..]);
            queue[start..start + 4].copy_from_slice(&length.to_le_bytes());
            queue[start + 4..body].copy_from_slice(&checksum.to_le_bytes());
        }
        self.end
            .set(Lsn(self.end.get().0 + (queue.len() - before) as u64));
        if before == 0 {
            self.appended.set(());
        }
    }

    /// Whether everything appended so far is durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable.get() >= self.end.get()
    }

    /// The place after everything appended so far.
    pub(crate) const fn end(&self) -> Lsn {
        self.end.get()
    }

    /// How far the file is on stable storage.
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
        let Some(file) = &self.file else { return };
        loop {
            self.appended
                .wait("log records", |()| !self.queue.borrow().is_empty())
                .await;
            let bytes = self.queue.borrow_mut().split().freeze();
            let end = Lsn(self.durable.get().0 + bytes.len() as u64);
            let write = file.write(self.durable.get().0, vec![bytes], Flush::Data);
            if let Err(error) = write.wait("log flush").await {
                self.failure.set(Some(Rc::new(error)));
                return;
            }
            self.durable.set(end);
        }
    }
}

async fn recover(file: &File, records: &mut Vec<Record>) -> io::Result<Lsn> {
    let total = file.length_when_opened();
    let (mut read, mut sound) = (0, 0);
    let mut bytes = BytesMut::new();
    loop {
        let mut whole = bytes.split().freeze();
        while let Some((record, length)) = take_record(&whole) {
            records.push(record);
            whole.advance(length);
            sound += length as u64;
        }
        if read >= total {
            return Ok(Lsn(sound));
        }
        bytes = BytesMut::from(&whole[..]);
        let chunk = file.read(read, CHUNK).wait("read log").await?;
        if chunk.is_empty() {
            return Ok(Lsn(sound));
        }
        read += chunk.len() as u64;
        bytes.extend_from_slice(&chunk);
    }
}

/// The record at the front, and its length, if it is there and sound.
fn take_record(bytes: &Bytes) -> Option<(Record, usize)> {
    let mut head = bytes.clone();
    let length = head.try_get_u32_le().ok()? as usize;
    let checksum = head.try_get_u32_le().ok()?;
    if length > head.len() {
        return None;
    }
    let body = head.split_to(length);
    if crc32fast::hash(&body) != checksum {
        return None;
    }
    Some((Record::decode(body)?, PREFIX + length))
}
