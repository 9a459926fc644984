//! What waits to be sent to one peer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::env::{Frame, SendError, Ticket};

/// Pieces up to this size are copied together; larger ones are sent from where they are.
const COPIED: usize = 2048;
/// So much is made ready to be written at a time; what is behind it can be taken back.
const READY: usize = 128 << 10;
/// What a waiting frame costs besides its bytes.
const OVERHEAD: usize = 64;

/// A bounded queue of frames, of which the first are ready to be written.
pub(super) struct Queue {
    /// By ticket. An empty one was taken back.
    frames: VecDeque<(Ticket, Frame)>,
    taken_back: usize,
    ready: Ready,
    /// What the frames cost.
    cost: usize,
    limit: usize,
}

/// Frames in the form in which they are written.
#[derive(Default)]
struct Ready {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

fn cost(frame: &Frame) -> usize {
    frame.iter().map(Bytes::len).sum::<usize>() + OVERHEAD
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            taken_back: 0,
            ready: Ready::default(),
            cost: 0,
            limit,
        }
    }

    /// Takes the frame whole, or not at all. A frame larger than the limit passes only an empty queue.
    pub(super) fn push(&mut self, ticket: Ticket, frame: Frame) -> Result<(), SendError> {
        let cost = cost(&frame);
        if !self.is_empty() && self.cost + self.ready.bytes + cost > self.limit {
            return Err(SendError::QueueFull);
        }
        self.cost += cost;
        self.frames.push_back((ticket, frame));
        Ok(())
    }

    /// Takes a frame back that is not ready to be written yet; says whether there was one.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> bool {
        let Ok(place) = self
            .frames
            .binary_search_by_key(&ticket, |(ticket, _)| *ticket)
        else {
            return false;
        };
        let frame = std::mem::take(&mut self.frames[place].1);
        if frame.is_empty() {
            return false;
        }
        self.cost -= cost(&frame);
        self.taken_back += 1;
        if self.taken_back > self.frames.len() / 2 {
            self.frames.retain(|(_, frame)| !frame.is_empty());
            self.taken_back = 0;
        }
        true
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.cost == 0 && self.ready.bytes == 0
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Offers the front of the queue to `write` and removes what it took.
    pub(super) fn drain<E>(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<(), E> {
        while self.ready.bytes < READY
            && let Some((_, frame)) = self.frames.pop_front()
        {
            if frame.is_empty() {
                self.taken_back -= 1;
            } else {
                self.cost -= cost(&frame);
                self.ready.push(frame);
            }
        }
        self.ready.drain(write)
    }
}

impl Ready {
    fn push(&mut self, frame: Frame) {
        for part in frame {
            self.bytes += part.len();
            if part.len() <= COPIED {
                self.tail.put(part);
            } else {
                self.seal_tail();
                self.chunks.push_back(part);
            }
        }
    }

    fn drain<E>(
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
            .push(
                1,
                vec![
                    Bytes::from_static(b"ab"),
                    large.clone(),
                    Bytes::from_static(b"c"),
                ],
            )
            .unwrap();
        assert_eq!(queue.push(2, vec![large]), Err(SendError::QueueFull));
        queue.push(3, vec![Bytes::from_static(b"d")]).unwrap();

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

    #[test]
    fn what_is_not_ready_can_be_taken_back() {
        let mut queue = Queue::new(10 * READY);
        let large = || vec![Bytes::from(vec![7u8; READY])];
        for ticket in 1..=5 {
            queue.push(ticket, large()).unwrap();
        }
        queue.drain(|_| Ok::<_, ()>(10)).unwrap();
        assert!(!queue.withdraw(1), "its first bytes have left");
        assert!(queue.withdraw(3) && queue.withdraw(4) && queue.withdraw(5));
        assert!(!queue.withdraw(4) && !queue.withdraw(9));
        queue.push(6, vec![Bytes::from_static(b"last")]).unwrap();
        let mut sent = 0;
        while !queue.is_empty() {
            queue
                .drain(|slices| {
                    let all = slices.iter().map(|slice| slice.len()).sum();
                    sent += all;
                    Ok::<_, ()>(all)
                })
                .unwrap();
        }
        assert_eq!(sent, 2 * READY - 10 + 4);
        assert_eq!((queue.cost, queue.taken_back), (0, 0));
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
