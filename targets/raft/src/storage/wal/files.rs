//! Which segments there are.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use depfast::disk::Flush;
use depfast::{Disk, Env, File, ValueEvent};

use super::recovery::UNFINISHED;
use super::segment::{HEADER, Header, Lsn, Segment, name, read_header, write_header};
use crate::storage::damage::What;
use crate::storage::is_full;

/// Segments that are kept to be used again: as many as one snapshot sets free. A flush into a file that was written
/// before writes nothing but the records; into a new one it writes about twice as much, zeros or the file system's
/// journal (`examples/preallocation.rs` measures it).
const SPARES: u64 = 4;
/// Files open for reading.
const READERS: usize = 4;

pub(super) struct Files {
    env: Env,
    disk: Disk,
    pub(super) segment_bytes: u64,
    /// The oldest segment on disk.
    oldest: Cell<u64>,
    /// The oldest segment that will hold something needed when more is durable.
    released: Cell<u64>,
    /// The oldest segment that holds something needed; those before are spare.
    needed: Cell<u64>,
    /// Which will be the oldest needed segment when the log is durable up to some place.
    releases: RefCell<VecDeque<(Lsn, u64)>>,
    /// The segment that is written to.
    active: Cell<u64>,
    /// The segment after it, if it is ready.
    pub(super) next: ValueEvent<Option<Segment>>,
    /// Is set when there may be something to do.
    pub(super) chores: ValueEvent<()>,
    readers: RefCell<VecDeque<(u64, Rc<File>)>>,
}

impl Files {
    /// Opens the active one of the segments found, or makes the first one.
    pub(super) async fn open(
        env: &Env,
        segment_bytes: u64,
        found: Option<(u64, u64)>,
        end: Lsn,
    ) -> io::Result<(Self, Segment)> {
        let (oldest, active) = found.unwrap_or((1, 1));
        let files = Self {
            env: env.clone(),
            disk: env.disk(),
            segment_bytes,
            oldest: Cell::new(oldest),
            released: Cell::new(oldest),
            needed: Cell::new(oldest),
            releases: RefCell::default(),
            active: Cell::new(active),
            next: ValueEvent::new(env, None),
            chores: ValueEvent::new(env, ()),
            readers: RefCell::default(),
        };
        let segment = match found {
            Some(_) => files.open_active(active, end).await?,
            None => files.make(active).await?,
        };
        Ok((files, segment))
    }

    async fn open_active(&self, number: u64, end: Lsn) -> io::Result<Segment> {
        let name = name(number);
        let file = self.disk.open_existing(&name).wait("open log").await?;
        let bytes = file.read(0, HEADER).wait("read log").await?;
        let header = read_header(&bytes, number).ok_or(What::Header { file: name })?;
        Ok(Segment {
            number,
            file,
            salt: header.salt,
            initialized: end.offset(),
        })
    }

    /// The segment after the active one.
    pub(super) async fn make_next(&self) -> io::Result<Segment> {
        self.make(self.active.get() + 1).await
    }

    /// Makes a segment, from a spare one if there is one.
    async fn make(&self, number: u64) -> io::Result<Segment> {
        let made = self.make_unfinished(number).await;
        if let Err(error) = &made
            && is_full(error)
        {
            // Others may need the space more.
            self.disk.remove(UNFINISHED).wait("remove segment").await?;
        }
        let segment = made?;
        let name = name(number);
        self.disk
            .rename(UNFINISHED, &name)
            .wait("name segment")
            .await?;
        Ok(segment)
    }

    async fn make_unfinished(&self, number: u64) -> io::Result<Segment> {
        let mut initialized = 0;
        if let Some(spare) = self.take_spare() {
            self.disk
                .rename(&name(spare), UNFINISHED)
                .wait("recycle segment")
                .await?;
            initialized = self.segment_bytes;
        }
        let file = self.disk.open(UNFINISHED).wait("make segment").await?;
        let length = file.length_when_opened();
        if length > self.segment_bytes {
            file.truncate(self.segment_bytes)
                .wait("cut segment")
                .await?;
        } else if length < self.segment_bytes {
            file.allocate(self.segment_bytes)
                .wait("allocate segment")
                .await?;
            initialized = length.min(initialized);
        }
        let salt = self.env.random_u64();
        let length = self.segment_bytes;
        let header = write_header(number, Header { salt, length });
        file.write(0, vec![header], Flush::Data)
            .wait("begin segment")
            .await?;
        Ok(Segment {
            number,
            file,
            salt,
            initialized,
        })
    }

    fn take_spare(&self) -> Option<u64> {
        let oldest = self.oldest.get();
        if oldest >= self.needed.get() {
            return None;
        }
        self.oldest.set(oldest + 1);
        self.readers
            .borrow_mut()
            .retain(|(number, _)| *number != oldest);
        Some(oldest)
    }

    /// Whether it is the segment that is written to.
    pub(super) fn is_active(&self, number: u64) -> bool {
        self.active.get() == number
    }

    /// Takes the segment after the active one, which must be there.
    pub(super) fn advance(&self) -> Option<Segment> {
        let segment = self.next.update(Option::take)?;
        self.active.set(segment.number);
        Some(segment)
    }

    /// Notes that nothing before `needed` will be needed when the log is durable up to `when`.
    pub(super) fn release(&self, needed: Lsn, when: Lsn) {
        let mut releases = self.releases.borrow_mut();
        while releases.pop_back_if(|(later, _)| *later >= when).is_some() {}
        releases.push_back((when, needed.segment()));
        self.chores.set(());
    }

    /// Takes note that more is durable, or that a segment is full.
    pub(super) fn progress(&self) {
        let releasing = self.released > self.needed || !self.releases.borrow().is_empty();
        if releasing || self.next.with(Option::is_none) {
            self.chores.set(());
        }
    }

    /// Takes note of what is durable; says whether there are more spares than are kept.
    pub(super) fn has_surplus(&self, durable: Lsn) -> bool {
        let mut releases = self.releases.borrow_mut();
        while let Some((_, needed)) = releases.pop_front_if(|(when, _)| *when <= durable) {
            self.released.set(self.released.get().max(needed));
        }
        // A segment says again what came before, but only when something in it is durable.
        let needed = self.released.get().min(durable.segment());
        self.needed.set(self.needed.get().max(needed));
        self.needed.get() - self.oldest.get() > SPARES
    }

    /// Removes the oldest spare segment.
    pub(super) async fn remove_spare(&self) -> io::Result<()> {
        let Some(spare) = self.take_spare() else {
            return Ok(());
        };
        self.disk.remove(&name(spare)).wait("remove segment").await
    }

    /// Whether a segment is still there.
    pub(super) fn has(&self, number: u64) -> bool {
        number >= self.oldest.get()
    }

    /// A segment's file, to be read apart from what is written; `None` if it is gone.
    pub(super) async fn reader(&self, number: u64) -> io::Result<Option<Rc<File>>> {
        let open = |(open, _): &&(u64, Rc<File>)| *open == number;
        if let Some((_, file)) = self.readers.borrow().iter().find(open) {
            return Ok(Some(Rc::clone(file)));
        }
        let opened = self.disk.open_existing(&name(number));
        let opened = opened.wait("open log").await;
        if !self.has(number) {
            return Ok(None);
        }
        let file = Rc::new(opened?);
        let mut readers = self.readers.borrow_mut();
        readers.push_back((number, Rc::clone(&file)));
        if readers.len() > READERS {
            readers.pop_front();
        }
        Ok(Some(file))
    }
}
