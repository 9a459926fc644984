//! What waits to be sent to one peer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::env::{Frame, SendError};

/// Pieces up to this size are copied together; larger ones are sent from where they are.
const COPIED: usize = 2048;

/// A bounded queue of bytes.
pub(super) struct Queue {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            tail: BytesMut::new(),
            bytes: 0,
            limit,
        }
    }

    /// Takes the frame whole, or not at all. A frame larger than the limit passes only an empty queue.
    pub(super) fn push(&mut self, frame: Frame) -> Result<(), SendError> {
        let size: usize = frame.iter().map(Bytes::len).sum();
        if self.bytes > 0 && self.bytes + size > self.limit {
            return Err(SendError::QueueFull);
        }
        self.bytes += size;
        for part in frame {
            if part.len() <= COPIED {
                self.tail.put(part);
            } else {
                self.seal_tail();
                self.chunks.push_back(part);
            }
        }
        Ok(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.tail.clear();
        self.bytes = 0;
    }

    /// Offers the front of the queue to `write` and removes what it took.
    pub(super) fn drain<E>(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.seal_tail();
        let slices: Vec<_> = self
            .chunks
            .iter()
            .take(64)
            .map(|chunk| IoSlice::new(chunk))
            .collect();
        let mut written = write(&slices)?;
        drop(slices);
        self.bytes -= written;
        while let Some(front) = self.chunks.front_mut() {
            if written < front.len() {
                front.advance(written);
                break;
            }
            written -= front.len();
            self.chunks.pop_front();
        }
        Ok(())
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_whole_frames_and_keeps_order() {
        let mut queue = Queue::new(5000);
        let large = Bytes::from(vec![7u8; 4000]);
        queue
            .push(vec![
                Bytes::from_static(b"ab"),
                large.clone(),
                Bytes::from_static(b"c"),
            ])
            .unwrap();
        assert_eq!(queue.push(vec![large]), Err(SendError::QueueFull));
        queue.push(vec![Bytes::from_static(b"d")]).unwrap();

        let mut sent = Vec::new();
        while !queue.is_empty() {
            queue
                .drain(|slices| {
                    let taken: Vec<u8> = slices.concat_slices().into_iter().take(1500).collect();
                    sent.extend_from_slice(&taken);
                    Ok::<_, ()>(taken.len())
                })
                .unwrap();
        }
        assert_eq!(sent.len(), 4004);
        assert_eq!((&sent[..2], &sent[4002..]), (&b"ab"[..], &b"cd"[..]));
    }

    trait Concat {
        fn concat_slices(&self) -> Vec<u8>;
    }

    impl Concat for &[IoSlice<'_>] {
        fn concat_slices(&self) -> Vec<u8> {
            self.iter()
                .flat_map(|slice| slice.iter().copied())
                .collect()
        }
    }
}
