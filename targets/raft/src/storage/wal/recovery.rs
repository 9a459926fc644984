//! Reading the segments at the start of a replica.

use std::io;

use bytes::Bytes;
use depfast::Disk;
use depfast::disk::frame::find;

use super::frame::{Content, HEAD, Head, aligned, read_records};
use super::segment::{FIRST, Header, Lsn, name, number, read_header};
use crate::storage::damage::What;
use crate::storage::{LogStart, Recovered};

/// How the name of a segment ends while it is made.
pub(super) const UNFINISHED: &str = "segment.unfinished";

/// What the segments say.
pub(super) struct Found {
    pub(super) recovered: Recovered,
    /// The numbers of the oldest segment and of the one to go on with; `None` if there are none yet.
    pub(super) segments: Option<(u64, u64)>,
    pub(super) position: Position,
    /// Whether the last frame says nothing that needs a proof.
    pub(super) proven: bool,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// The last frame.
    pub(super) previous: Lsn,
    /// The end of the last frame.
    pub(super) end: Lsn,
}

/// Reads all segments, and removes the unused ones at the end. The log may begin after a snapshot, if there is one.
pub(super) async fn recover(
    disk: &Disk,
    log_memory: usize,
    snapshot: Option<LogStart>,
) -> io::Result<Found> {
    let mut numbers = Vec::new();
    for file in disk.list().wait("list log").await? {
        if file == UNFINISHED {
            disk.remove(&file).wait("remove segment").await?;
        }
        numbers.extend(number(&file));
    }
    let oldest = match (numbers.first(), snapshot) {
        (Some(oldest), Some(_)) => *oldest,
        (None, None) => 1,
        // Without a snapshot nothing was ever removed; with one there is at least a segment.
        _ => *numbers
            .first()
            .filter(|oldest| **oldest == 1)
            .ok_or_else(|| missing(1))?,
    };
    let mut scan = Scan::new(oldest, log_memory);
    for (number, expected) in numbers.iter().zip(oldest..) {
        if *number != expected {
            return Err(missing(expected));
        }
        // Opening makes durable what a process that was killed had written: whoever reads it builds on it.
        let file = disk.open(&name(*number)).wait("open log").await?;
        let length = usize::try_from(file.length_when_opened()).map_err(io::Error::other)?;
        let bytes = file.read(0, length).wait("read log").await?;
        scan.segment(*number, &bytes)?;
    }
    let segments = scan.segments_in_use(&numbers)?;
    if let Some((_, active)) = segments {
        // Nothing of these is in use, but a torn frame may be there.
        for unused in numbers.into_iter().filter(|number| *number > active) {
            disk.remove(&name(unused)).wait("remove segment").await?;
        }
    }
    Ok(Found {
        recovered: scan.recovered,
        segments,
        position: Position {
            previous: scan.last.unwrap_or_default(),
            end: scan.end,
        },
        proven: scan.proven,
    })
}

fn missing(segment: u64) -> io::Error {
    let file = name(segment);
    What::Missing { file }.into()
}

fn changed(place: Lsn) -> What {
    What::Changed {
        file: name(place.segment()),
        offset: place.offset(),
    }
}

/// A walk over the frames.
struct Scan {
    recovered: Recovered,
    log_memory: usize,
    /// The last frame; zero before the very first one; `None` if it was in a segment that is gone.
    last: Option<Lsn>,
    /// Where the next frame should be.
    end: Lsn,
    /// Whether the last frame has no records.
    proven: bool,
    /// The latest segment that says that another one follows it.
    sealed: Option<u64>,
}

impl Scan {
    fn new(oldest: u64, log_memory: usize) -> Self {
        Self {
            recovered: Recovered::default(),
            log_memory,
            last: (oldest == 1).then_some(Lsn::default()),
            end: Lsn::new(oldest, FIRST),
            proven: true,
            sealed: None,
        }
    }

    fn segment(&mut self, number: u64, bytes: &Bytes) -> Result<(), What> {
        let file = name(number);
        let Some(Header { salt, length }) = read_header(bytes, number) else {
            return Err(What::Header { file });
        };
        if (bytes.len() as u64) < length {
            let found = bytes.len() as u64;
            return Err(What::Cut {
                file,
                found,
                length,
            });
        }
        let mut place = Lsn::new(number, FIRST);
        while let Some(next) = self.frame(place, salt, bytes)? {
            place = next;
        }
        if self.sealed == Some(number) {
            return Ok(());
        }
        let rest = place.plus(HEAD);
        let after = bytes.get(offset(rest)..).unwrap_or_default();
        match find(after, salt, rest.0) {
            Some(_proof) => Err(changed(place)),
            None => Ok(()),
        }
    }

    /// Takes the frame at `place`, and says where the next one should be; `None` if there is none, or it is torn.
    fn frame(&mut self, place: Lsn, salt: u64, bytes: &Bytes) -> Result<Option<Lsn>, What> {
        let rest = bytes.get(offset(place)..).unwrap_or_default();
        let Some(head) = Head::decode(rest, salt, place.0) else {
            return Ok(None);
        };
        if self.last.is_some_and(|last| last.0 != head.previous) {
            return Err(self.broken());
        }
        let Content::Records { length, digest } = head.content else {
            self.sealed = Some(place.segment());
            return Ok(None);
        };
        let body = offset(place) + HEAD;
        let end = body + length as usize;
        if end > bytes.len() {
            return Ok(None);
        }
        let Some(records) = read_records(bytes.slice(body..end), digest) else {
            return Ok(None);
        };
        self.proven = records.is_empty();
        let mut at = place.plus(HEAD);
        for record in records {
            at = at.plus(record.length());
            self.recovered.take(record, at, self.log_memory);
        }
        self.last = Some(place);
        self.end = aligned(at);
        Ok(Some(self.end))
    }

    /// What should follow the last frame is not there.
    fn broken(&self) -> What {
        let full = self.sealed.filter(|sealed| *sealed == self.end.segment());
        changed(full.map_or(self.end, |full| Lsn::new(full + 1, FIRST)))
    }

    /// The oldest segment and the one with the last frame.
    fn segments_in_use(&self, numbers: &[u64]) -> Result<Option<(u64, u64)>, What> {
        let Some(oldest) = numbers.first() else {
            return Ok(None);
        };
        // Older segments were removed only after something here was durable.
        let last = self.last.ok_or_else(|| changed(self.end))?;
        let active = last.segment().max(*oldest);
        match self.sealed {
            Some(sealed) if sealed >= active => Err(if numbers.contains(&(sealed + 1)) {
                self.broken()
            } else {
                let file = name(sealed + 1);
                What::Missing { file }
            }),
            _ => Ok(Some((*oldest, active))),
        }
    }
}

fn offset(place: Lsn) -> usize {
    usize::try_from(place.offset()).expect("offsets have 32 bits")
}
