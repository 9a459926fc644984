//! What proves that the last frame was durable: another one behind it.
//!
//! Only the last frame can be torn, so damage to it would look like a torn write. When nothing follows it of itself for a
//! while, a frame without records does. What was promised in the last moments before a crash stays without proof.

use std::time::Duration;

use super::{Lsn, Wal};

/// How long nothing must have been written: long enough that a busy log does without these frames.
const QUIET: Duration = Duration::from_millis(100);

impl Wal {
    pub(super) async fn prove_forever(&self) {
        let mut proven = Lsn::default();
        loop {
            self.durable
                .wait("log to prove", |durable| *durable > proven)
                .await;
            let end = self.end();
            self.env.timeout("quiet log", QUIET).await;
            if self.end() == end && self.is_durable() {
                proven = end;
                self.proof.set(true);
                self.appended.set(());
            }
        }
    }
}
