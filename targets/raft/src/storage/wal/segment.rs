//! The files of the log: segments, numbered without gaps.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use depfast::File;

/// Where the frames of a segment begin: what is before never changes while the segment is in use, so no write that a
/// crash tears can damage it.
pub(super) const FIRST: u64 = 4096;
/// The length of what a segment says about itself.
pub(super) const HEADER: usize = 32;
const MAGIC: &[u8; 8] = b"DFRAFT\x00\x01";

/// A place in the log file: everything appended before it is durable when the log is durable up to there.
///
/// Places are never used twice, even if a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl Lsn {
    pub(super) const fn new(segment: u64, offset: u64) -> Self {
        Self(segment << 32 | offset)
    }

    pub(super) const fn segment(self) -> u64 {
        self.0 >> 32
    }

    pub(super) const fn offset(self) -> u64 {
        self.0 & 0xffff_ffff
    }

    /// How many bytes lie before `other` in the same segment.
    pub(in crate::storage) fn gap(self, other: Self) -> Option<u64> {
        let same = self.segment() == other.segment();
        other.0.checked_sub(self.0).filter(|_| same)
    }

    pub(super) const fn plus(self, bytes: usize) -> Self {
        Self(self.0 + bytes as u64)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment(), self.offset())
    }
}

/// A segment that is written to.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: File,
    pub(super) salt: u64,
    /// Up to where the file system has seen writes; those beyond make it change metadata, which makes a flush longer.
    pub(super) initialized: u64,
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Goes into all checksums, so that nothing that the file held in an earlier life, and nothing that a client has sent,
    /// is taken for part of it.
    pub(super) salt: u64,
    /// How many bytes the file has at least.
    pub(super) length: u64,
}

/// The name of a segment's file.
pub(super) fn name(number: u64) -> String {
    format!("{number:010}.log")
}

/// The number of the segment whose file has this name.
pub(super) fn number(file: &str) -> Option<u64> {
    let number = file.strip_suffix(".log")?.parse().ok()?;
    (number > 0 && name(number) == file).then_some(number)
}

pub(super) fn write_header(number: u64, header: Header) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER);
    bytes.put_slice(MAGIC);
    bytes.put_u64_le(number);
    bytes.put_u64_le(header.salt);
    // Places have offsets of 32 bits.
    bytes.put_u32_le(u32::try_from(header.length).unwrap_or(u32::MAX));
    bytes.put_u32_le(crc32fast::hash(&bytes));
    bytes.freeze()
}

/// What segment `expected` says about itself; `None` if `bytes` is not its header.
pub(super) fn read_header(mut bytes: &[u8], expected: u64) -> Option<Header> {
    let (covered, checksum) = bytes.split_at_checked(HEADER - 4)?;
    if *checksum.first_chunk()? != crc32fast::hash(covered).to_le_bytes() {
        return None;
    }
    bytes = bytes.strip_prefix(MAGIC)?;
    let number = bytes.try_get_u64_le().ok()?;
    let salt = bytes.try_get_u64_le().ok()?;
    let length = bytes.try_get_u32_le().ok()?.into();
    (number == expected).then_some(Header { salt, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_that_of_its_segment() {
        let header = Header {
            salt: 123,
            length: 16 << 20,
        };
        let good = write_header(7, header);
        assert_eq!(good.len(), HEADER);
        assert_eq!(read_header(&good, 7), Some(header));
        assert_eq!(read_header(&good, 8), None);
        for position in 0..HEADER {
            let mut bad = good.to_vec();
            bad[position] ^= 1;
            assert_eq!(read_header(&bad, 7), None);
            assert_eq!(read_header(&good[..position], 7), None);
        }
    }

    #[test]
    fn names_follow_the_numbers() {
        assert_eq!(number(&name(12)), Some(12));
        for other in ["12.log", "0000000000.log", "snapshot", "000000001x.log"] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
