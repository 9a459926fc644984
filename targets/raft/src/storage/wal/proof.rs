//! What proves that the last frame was durable: another one behind it, without records if need be.

use depfast::disk::frame::QUIET;

use super::Wal;
use super::frame::{Frame, aligned};
use super::segment::Lsn;

impl Wal {
    /// `proven` is where the log ends, if its last frame needs no proof.
    pub(super) async fn prove_forever(&self, mut proven: Lsn) {
        loop {
            self.durable
                .wait("log to prove", |durable| *durable > proven)
                .await;
            let end = self.end();
            self.env.timeout("quiet log", QUIET).await;
            if self.end() == end && self.durable.get() == end {
                proven = self.prove();
            }
        }
    }

    fn prove(&self) -> Lsn {
        let place = aligned(self.end());
        let frame = Frame::new(place, self.last_frame.replace(place));
        let end = frame.end();
        self.end.set(end);
        self.queue.borrow_mut().push_back(frame);
        self.appended.set(());
        end
    }
}
