//! From the queue to stable storage.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::disk::Flush;

use super::files::Files;
use super::frame::{Content, Frame, Head, aligned};
use super::recovery::Position;
use super::segment::Segment;
use super::{Space, Wal};
use crate::storage::is_full;

/// What is written ahead of the records into a file that was never written there. A flush into it changes no metadata
/// of the file, which makes it half as long.
static AHEAD: [u8; 128 << 10] = [0; 128 << 10];
/// How often a full disk is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// Where the flushing coroutine is.
pub(super) struct Flushing {
    segment: Segment,
    position: Position,
}

impl Flushing {
    pub(super) const fn new(segment: Segment, position: Position) -> Self {
        Self { segment, position }
    }
}

impl Wal {
    pub(super) async fn flush_forever(self: &Rc<Self>, mut flushing: Flushing) {
        let Some(files) = &self.files else {
            return;
        };
        loop {
            self.appended
                .wait("log records", |()| !self.queue.borrow().is_empty())
                .await;
            let Some(frame) = self.queue.borrow_mut().pop_front() else {
                continue;
            };
            let left = self.advance(files, &mut flushing, &frame).await;
            if let Err(error) = self.write(files, &mut flushing.segment, &frame).await {
                self.fail(error);
                return;
            }
            flushing.position = Position {
                previous: frame.place(),
                end: frame.end(),
            };
            self.made_durable(frame.end(), frame.length());
            if self.space.get() == Space::Full && files.next.with(Option::is_some) {
                self.space.set(Space::Enough);
            }
            files.progress();
            if let Some(left) = left {
                self.seal(left);
            }
        }
    }

    /// Goes on to the segment of the frame, and returns the one that was left for it.
    async fn advance(
        &self,
        files: &Files,
        flushing: &mut Flushing,
        frame: &Frame,
    ) -> Option<Flushing> {
        if frame.place().segment() == flushing.segment.number {
            return None;
        }
        files.next.wait("log segment", Option::is_some).await;
        let next = Flushing::new(files.advance()?, flushing.position);
        files.progress();
        Some(std::mem::replace(flushing, next))
    }

    /// Writes a frame, however long the disk is full.
    async fn write(&self, files: &Files, segment: &mut Segment, frame: &Frame) -> io::Result<()> {
        let (start, end) = (frame.place().offset(), frame.end().offset());
        let mut parts = Vec::with_capacity(frame.records.len() + 2);
        parts.push(frame.head().encode(segment.salt));
        parts.extend(frame.records.iter().cloned());
        if end > segment.initialized {
            let ahead = files.segment_bytes.saturating_sub(end);
            let ahead = usize::try_from(ahead).map_or(AHEAD.len(), |room| room.min(AHEAD.len()));
            parts.push(Bytes::from_static(&AHEAD[..ahead]));
            segment.initialized = end + ahead as u64;
        }
        let mut written = segment.file.write(start, parts.clone(), Flush::Data);
        loop {
            match written.wait("log flush").await {
                Err(error) if is_full(&error) => self.space.set(Space::Full),
                result => return result,
            }
            self.env.timeout("disk space", RETRY).await;
            written = segment.file.write(start, parts.clone(), Flush::Data);
        }
    }

    /// Notes in a segment that another one follows it, so that its loss is noticed. Nobody waits for that.
    fn seal(self: &Rc<Self>, Flushing { segment, position }: Flushing) {
        let place = aligned(position.end);
        let head = Head {
            place: place.0,
            previous: position.previous.0,
            content: Content::Seal,
        };
        let wal = Rc::clone(self);
        self.env.spawn(async move {
            let seal = vec![head.encode(segment.salt)];
            let sealed = segment.file.write(place.offset(), seal, Flush::Data);
            match sealed.wait("seal segment").await {
                Err(error) if !is_full(&error) => wal.fail(error),
                _ => {}
            }
        });
    }
}
