//! Keeping background work below a rate.

use std::time::Duration;

use depfast::{Env, Instant};

/// Bytes that may be spent at once.
const BURST: Duration = Duration::from_millis(10);

/// A budget of bytes per second.
pub(crate) struct Pace {
    env: Env,
    rate: u64,
    /// When everything spent so far is paid for.
    paid: Instant,
}

impl Pace {
    /// `rate` bytes a second.
    pub(crate) fn new(env: &Env, rate: u64) -> Self {
        Self {
            env: env.clone(),
            rate,
            paid: env.now(),
        }
    }

    /// Suspends the coroutine until these bytes are within the budget. Others always get their turn first.
    pub(crate) async fn spend(&mut self, bytes: usize) {
        let now = self.env.now();
        let cost = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / self.rate);
        self.paid = self.paid.max(now) + cost;
        if self.paid.since(now) > BURST {
            self.env.timeout_at("pace", self.paid).await;
        } else {
            self.env.yield_now().await;
        }
    }
}
