//! What a replica finds when it starts.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use depfast::disk::frame::{Content, HEAD, Head, aligned, find};
use depfast::{Disk, File};
use kv::{Restoring, Store};

use super::NAME;
use super::damage::What;
use super::file::{FIRST, HEADER, Header, LogFile};
use super::piece::{self, Piece};
use crate::core::Record;

/// How much of the file is read at a time.
const CHUNK: usize = 1 << 20;

/// What a log file says.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// What the file begins with, if it was ever compacted: a head and the store that belongs to it.
    pub(crate) state: Option<(Bytes, Store)>,
    /// The changes since.
    pub(crate) records: Vec<Record>,
}

impl Recovered {
    /// Whether the replica has never done anything.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.state.is_none() && self.records.is_empty()
    }
}

/// A file that was read.
pub(super) struct Found {
    pub(super) recovered: Recovered,
    pub(super) file: LogFile,
    /// Where the state ends that it begins with.
    pub(super) state_end: u64,
    /// Whether damage to the last frame would be noticed.
    pub(super) is_proven: bool,
}

/// Reads the log file, up to a torn end; `None` if there is no file.
pub(super) async fn read(disk: &Disk) -> io::Result<Option<Found>> {
    let file = match disk.open_existing(NAME).wait("open log").await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut reader = Reader::of(file);
    let header = Header::decode(reader.ahead(HEADER).await?).ok_or(What::Header)?;
    header.check_length(reader.total, FIRST)?;
    let (mut reading, mut state_end) = (Reading::default(), 0);
    let (mut previous, mut end, mut is_proven) = (0, FIRST, true);
    loop {
        let place = aligned(end);
        let Some(body) = reader.frame(header.salt, place, previous).await? else {
            break;
        };
        (previous, end) = (place, place + (HEAD + body.len()) as u64);
        is_proven = body.is_empty();
        if reading.add(place, body)? {
            state_end = end;
        }
    }
    header.check_length(reader.total, end)?;
    reader
        .refuse_frames_after(header.salt, aligned(end))
        .await?;
    Ok(Some(Found {
        recovered: reading.finish()?,
        file: LogFile::go_on(reader.file, header, reader.total, (previous, end)),
        state_end,
        is_proven,
    }))
}

/// A walk through a file.
struct Reader {
    file: File,
    total: u64,
    /// What was read, and where that begins.
    bytes: BytesMut,
    at: u64,
}

impl Reader {
    fn of(file: File) -> Self {
        Self {
            total: file.length_when_opened(),
            file,
            bytes: BytesMut::new(),
            at: 0,
        }
    }

    /// What comes next: so many bytes, or fewer at the end of the file.
    async fn ahead(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.bytes.len() < count {
            let chunk = self.file.read(self.at + self.bytes.len() as u64, CHUNK);
            let chunk = chunk.wait("read log").await?;
            if chunk.is_empty() {
                break;
            }
            self.bytes.extend_from_slice(&chunk);
        }
        Ok(&self.bytes[..count.min(self.bytes.len())])
    }

    /// Goes on to a later place.
    async fn skip_to(&mut self, place: u64) -> io::Result<()> {
        while self.at < place && !self.ahead(1).await?.is_empty() {
            let step = usize::try_from(place - self.at).unwrap_or(usize::MAX);
            let step = step.min(self.bytes.len());
            self.bytes.advance(step);
            self.at += step as u64;
        }
        Ok(())
    }

    /// The body of the frame at `place`; `None` if there is none, or it is broken.
    async fn frame(&mut self, salt: u64, place: u64, previous: u64) -> io::Result<Option<Bytes>> {
        self.skip_to(place).await?;
        let Some(head) = Head::decode(self.ahead(HEAD).await?, salt, place) else {
            return Ok(None);
        };
        let Content::Records { length, digest } = head.content else {
            return Err(What::Unreadable { offset: place }.into());
        };
        if head.previous != previous {
            return Err(What::Changed { offset: place }.into());
        }
        let whole = HEAD + length as usize;
        let found = self.total;
        let body = self.ahead(whole).await?.get(HEAD..whole);
        let Some(body) = body else {
            // The file had grown before the frame was written.
            let length = place + whole as u64;
            return Err(What::Cut { found, length }.into());
        };
        let is_sound = crc32fast::hash(body) == digest;
        Ok(is_sound.then(|| Bytes::copy_from_slice(body)))
    }

    /// The frame at `place` is broken, or there is none. A torn one is the last.
    async fn refuse_frames_after(&mut self, salt: u64, place: u64) -> io::Result<()> {
        self.skip_to(place + HEAD as u64).await?;
        loop {
            let at = self.at;
            let rest = self.ahead(CHUNK).await?;
            if find(rest, salt, at).is_some() {
                return Err(What::Changed { offset: place }.into());
            }
            // A head may lie across what was read.
            let Some(step) = rest.len().checked_sub(HEAD).filter(|step| *step > 0) else {
                return Ok(());
            };
            self.skip_to(at + step as u64).await?;
        }
    }
}

#[derive(Debug, Default)]
struct Reading {
    head: Option<Bytes>,
    store: Restoring,
    records: Vec<Record>,
}

impl Reading {
    /// Takes in the body of the frame at `offset`; says whether it has a part of the state.
    fn add(&mut self, offset: u64, mut body: Bytes) -> io::Result<bool> {
        let unreadable = || What::Unreadable { offset };
        let mut has_state = false;
        while !body.is_empty() {
            match piece::take(&mut body).ok_or_else(unreadable)? {
                Piece::Change(record) => self.records.push(record),
                Piece::Head(head) => {
                    has_state = true;
                    self.head = Some(head);
                }
                Piece::Store(chunk) => {
                    has_state = true;
                    self.store.take(&chunk).map_err(|_bad| unreadable())?;
                }
            }
        }
        Ok(has_state)
    }

    fn finish(self) -> io::Result<Recovered> {
        // A file gets its name only when its state is whole.
        let unreadable = |_bad| What::Unreadable { offset: FIRST };
        let state = match self.head {
            Some(head) => Some((head, self.store.finish().map_err(unreadable)?)),
            None => None,
        };
        Ok(Recovered {
            state,
            records: self.records,
        })
    }
}
