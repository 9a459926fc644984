//! The file of the log: a header, then frames ([`depfast::disk::frame`]), one for each flush.
//!
//! Its length is a multiple of a step, and grows, durably, before a frame is written that would leave no room for the
//! head of the next one. So whatever is cut off, either the length or a head shows it.

use std::cell::Cell;
use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use depfast::disk::Flush;
use depfast::disk::frame::{Content, HEAD, Head, aligned};
use depfast::{Disk, Env, File};

use super::damage::What;

/// Where the frames begin: no write that a crash tears can damage what is before.
pub(super) const FIRST: u64 = 4096;
/// The length of what the file says about itself.
pub(super) const HEADER: usize = 28;
const MAGIC: &[u8; 8] = b"DFCOPLT\x01";
/// By how much a file grows at once, at least and at most.
const LEAST_STEP: u64 = 64 << 10;
const MOST_STEP: u64 = 4 << 20;

/// What the file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Goes into the checksums of all heads, so that nothing that a client has sent is taken for one.
    pub(super) salt: u64,
    /// By how much it grows at once.
    pub(super) step: u64,
}

impl Header {
    fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER);
        bytes.put_slice(MAGIC);
        bytes.put_u64_le(self.salt);
        bytes.put_u64_le(self.step);
        bytes.put_u32_le(crc32fast::hash(&bytes));
        bytes.freeze()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (covered, sum) = bytes.get(..HEADER)?.split_at_checked(HEADER - 4)?;
        if *sum.first_chunk()? != crc32fast::hash(covered).to_le_bytes() {
            return None;
        }
        let mut fields = covered.strip_prefix(MAGIC)?;
        let salt = fields.try_get_u64_le().ok()?;
        let step = fields.try_get_u64_le().ok()?;
        (step > 0).then_some(Self { salt, step })
    }

    /// How long a file with frames up to `end` must be.
    fn length(self, end: u64) -> u64 {
        (aligned(end) + HEAD as u64).next_multiple_of(self.step)
    }

    /// Refuses the length of a file with frames up to `end` that has lost a part.
    pub(super) fn check_length(self, found: u64, end: u64) -> Result<(), What> {
        let length = self.length(end).max(found.next_multiple_of(self.step));
        if found < length {
            return Err(What::Cut { found, length });
        }
        Ok(())
    }
}

/// A file that is written to.
pub(super) struct LogFile {
    file: File,
    header: Header,
    length: Cell<u64>,
    /// The last frame; zero if there is none.
    previous: Cell<u64>,
    /// Where it ends.
    end: Cell<u64>,
}

impl LogFile {
    /// Begins a file, which must not exist. It is whole, and may get its name, as soon as this is done.
    pub(super) async fn begin(
        env: &Env,
        disk: &Disk,
        name: &str,
        log_bytes: u64,
    ) -> io::Result<Self> {
        let file = disk.open(name).wait("begin log").await?;
        let header = Header {
            salt: env.random_u64(),
            step: (log_bytes / 16).clamp(LEAST_STEP, MOST_STEP),
        };
        let length = header.length(FIRST);
        file.truncate(length).wait("extend log").await?;
        file.write(0, vec![header.encode()], Flush::Data)
            .wait("begin log")
            .await?;
        Ok(Self::go_on(file, header, length, (0, FIRST)))
    }

    /// Goes on with a file whose last frame begins and ends there.
    pub(super) const fn go_on(
        file: File,
        header: Header,
        length: u64,
        (previous, end): (u64, u64),
    ) -> Self {
        Self {
            file,
            header,
            length: Cell::new(length),
            previous: Cell::new(previous),
            end: Cell::new(end),
        }
    }

    /// Where the last frame ends.
    pub(super) const fn end(&self) -> u64 {
        self.end.get()
    }

    /// Writes a frame, durably. Without a body it says that everything before was durable.
    ///
    /// Everything before must be: nobody may append while this is under way. `label` names the wait.
    pub(super) async fn append(&self, body: Bytes, label: &'static str) -> io::Result<()> {
        let place = aligned(self.end.get());
        let end = place + (HEAD + body.len()) as u64;
        let length = self.header.length(end);
        if length > self.length.get() {
            self.file.truncate(length).wait("extend log").await?;
            self.length.set(length);
        }
        let head = Head {
            place,
            previous: self.previous.get(),
            content: Content::Records {
                length: u32::try_from(body.len()).map_err(io::Error::other)?,
                digest: crc32fast::hash(&body),
            },
        };
        let parts = vec![head.encode(self.header.salt), body];
        self.file
            .write(place, parts, Flush::Data)
            .wait(label)
            .await?;
        self.previous.set(place);
        self.end.set(end);
        Ok(())
    }
}
