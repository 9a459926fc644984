//! Frames of a log file. A frame is what is written and flushed at once.
//!
//! A frame is written only when everything before it is on stable storage, so **a frame that is there proves that all
//! before it was durable**. That tells damage from what a crash may leave. The one frame that was being written when the
//! power failed may be there in part, and in any part, because the kernel writes pages in any order; it is torn, nothing
//! was promised about it, and nothing follows it. Where something does follow, what is broken was once whole. A frame
//! without records may be written for no other reason: when nothing follows the last frame of itself for a while
//! ([`QUIET`]), since damage to it would look like a torn write. What was promised in the last moments before a crash stays
//! without proof.
//!
//! `place u64 | previous u64 | length u32 | digest u32 | kind u32 | checksum u32 | records…`, little endian, at multiples
//! of eight. The checksum covers what precedes it, and the file's salt; what the digest covers, the log decides.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The length of what precedes the records.
pub const HEAD: usize = 32;
/// How long nothing is written until the last frame is to be proven: long enough that a busy log does without.
pub const QUIET: Duration = Duration::from_millis(100);
const ALIGNMENT: u64 = 8;
const KIND_RECORDS: u32 = 1;
const KIND_SEAL: u32 = 2;

/// What precedes the records of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The frame's own place.
    pub place: u64,
    /// The place of the frame before.
    pub previous: u64,
    /// What it is for.
    pub content: Content,
}

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// It holds records.
    Records {
        /// How many bytes they take.
        length: u32,
        /// What their bytes must agree with.
        digest: u32,
    },
    /// It holds nothing: the log goes on in another file.
    Seal,
}

impl Head {
    /// Its bytes.
    pub fn encode(&self, salt: u64) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD);
        bytes.put_u64_le(self.place);
        bytes.put_u64_le(self.previous);
        let (length, digest, kind) = match self.content {
            Content::Records { length, digest } => (length, digest, KIND_RECORDS),
            Content::Seal => (0, 0, KIND_SEAL),
        };
        bytes.put_u32_le(length);
        bytes.put_u32_le(digest);
        bytes.put_u32_le(kind);
        bytes.put_u32_le(checksum(&bytes, salt));
        bytes.freeze()
    }

    /// Reads the head of the frame at `place`; `None` if there is none.
    pub fn decode(mut bytes: &[u8], salt: u64, place: u64) -> Option<Self> {
        // First of all what nearly all other bytes differ in.
        if *bytes.first_chunk()? != place.to_le_bytes() {
            return None;
        }
        let (covered, sum) = bytes.split_at_checked(HEAD - 4)?;
        if *sum.first_chunk()? != checksum(covered, salt).to_le_bytes() {
            return None;
        }
        bytes.advance(8);
        let previous = bytes.try_get_u64_le().ok()?;
        let length = bytes.try_get_u32_le().ok()?;
        let digest = bytes.try_get_u32_le().ok()?;
        let content = match bytes.try_get_u32_le().ok()? {
            KIND_RECORDS => Content::Records { length, digest },
            KIND_SEAL => Content::Seal,
            _ => return None,
        };
        Some(Self {
            place,
            previous,
            content,
        })
    }
}

fn checksum(covered: &[u8], salt: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(covered);
    hasher.finalize()
}

/// Where a frame can begin, at or after `end`.
pub const fn aligned(end: u64) -> u64 {
    end.next_multiple_of(ALIGNMENT)
}

/// The place of the first frame head in `bytes`, which lie at `place`.
pub fn find(bytes: &[u8], salt: u64, place: u64) -> Option<u64> {
    (aligned(place)..place + bytes.len() as u64)
        .step_by(ALIGNMENT as usize)
        .find(|at| Head::decode(&bytes[(at - place) as usize..], salt, *at).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Head = Head {
        place: 64,
        previous: 32,
        content: Content::Records {
            length: 5,
            digest: 7,
        },
    };

    #[test]
    fn a_frame_is_read_where_it_was_written_only() {
        let bytes = HERE.encode(9);
        assert_eq!(bytes.len(), HEAD);
        assert_eq!(Head::decode(&bytes, 9, 64), Some(HERE));
        assert_eq!(Head::decode(&bytes, 8, 64), None);
        assert_eq!(Head::decode(&bytes, 9, 72), None);
        for position in 0..HEAD {
            let mut bad = bytes.to_vec();
            bad[position] ^= 1;
            assert_eq!(Head::decode(&bad, 9, 64), None);
        }
    }

    #[test]
    fn a_frame_is_found_among_other_bytes() {
        let bytes = [&[7; 24][..], &HERE.encode(9), b"rest"].concat();
        assert_eq!(find(&bytes, 9, 40), Some(64));
        assert_eq!(find(&bytes, 8, 40), None);
        assert_eq!(find(&bytes[32..], 9, 72), None);
    }
}
