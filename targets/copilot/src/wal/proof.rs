//! What proves that the last frame was durable: another one behind it, without records if need be.

use depfast::disk::frame::QUIET;

use super::{Lsn, Wal};

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
