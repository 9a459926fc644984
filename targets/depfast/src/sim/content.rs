//! What is in a simulated file, and what a crash leaves of it.

use bytes::Bytes;

use crate::rng::Rng;
use crate::time::Instant;

#[derive(Default)]
pub(super) struct Content {
    /// What readers see.
    pub(super) live: Vec<u8>,
    /// What survives a crash for certain.
    pub(super) stable: Vec<u8>,
    pub(super) unflushed: Vec<(usize, Bytes)>,
    /// When the last submitted operation will be done: operations keep their order.
    pub(super) busy_until: Instant,
}

/// What a disk writes whole or not at all. Small, so that the small writes of a simulation have holes.
const PAGE: usize = 64;

impl Content {
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        for (offset, bytes) in std::mem::take(&mut self.unflushed) {
            match rng.below(0..4) {
                0 => write_at(&mut self.stable, offset, &bytes),
                1 => {
                    let kept = usize::try_from(rng.below(0..bytes.len() as u64)).unwrap_or(0);
                    write_at(&mut self.stable, offset, &bytes[..kept]);
                }
                // The page cache writes pages in any order.
                2 => {
                    let mut start = offset;
                    while start < offset + bytes.len() {
                        let end = ((start / PAGE + 1) * PAGE).min(offset + bytes.len());
                        if rng.chance(0.5) {
                            write_at(
                                &mut self.stable,
                                start,
                                &bytes[start - offset..end - offset],
                            );
                        }
                        start = end;
                    }
                }
                _ => {}
            }
        }
        self.live.clone_from(&self.stable);
        self.busy_until = Instant::START;
    }

    pub(super) fn flip_bit(&mut self, rng: &mut Rng) {
        let place = usize::try_from(rng.below(0..self.stable.len() as u64)).unwrap_or(0);
        let bit = 1 << rng.below(0..8);
        self.stable[place] ^= bit;
        if let Some(byte) = self.live.get_mut(place) {
            *byte ^= bit;
        }
    }

    pub(super) fn flush(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.unflushed) {
            write_at(&mut self.stable, offset, &bytes);
        }
    }

    pub(super) fn read(&self, offset: u64, length: usize) -> Bytes {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.live.len());
        Bytes::copy_from_slice(&self.live[start..(start + length).min(self.live.len())])
    }
}

pub(super) fn write_at(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}
