//! Clocks of nodes that are ahead, or go too fast or too slowly.

use std::time::Duration;

use crate::time::Instant;

/// How a node's clock differs from the true time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClockSkew {
    /// How far it is ahead at first.
    pub ahead: Duration,
    /// How fast it goes: 1 is right, 1.01 gains a hundredth.
    pub rate: f64,
}

impl Default for ClockSkew {
    fn default() -> Self {
        Self {
            ahead: Duration::ZERO,
            rate: 1.0,
        }
    }
}

/// A clock that never goes back, whatever its rate is changed to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// It showed `local` when the true time was `truth`.
    local: Instant,
    truth: Instant,
    rate: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            local: Instant::START,
            truth: Instant::START,
            rate: 1.0,
        }
    }
}

impl Clock {
    /// What it shows at the time `truth`.
    pub(super) fn local(&self, truth: Instant) -> Instant {
        if self.rate == 1.0 {
            return self.local + truth.since(self.truth);
        }
        self.local + scaled(truth.since(self.truth), self.rate)
    }

    /// When it will show `local`, or a moment after that.
    pub(super) fn truth(&self, local: Instant) -> Instant {
        if self.rate == 1.0 {
            return self.truth + local.since(self.local);
        }
        self.truth + scaled(local.since(self.local), self.rate.recip()) + Duration::from_nanos(2)
    }

    pub(super) fn skew(&mut self, truth: Instant, skew: ClockSkew) {
        *self = Self {
            local: self.local(truth) + skew.ahead,
            truth,
            rate: skew.rate.clamp(0.01, 100.0),
        };
    }
}

/// Clocks are looked at all the time, and `Duration` multiplies slowly, in seconds.
fn scaled(time: Duration, rate: f64) -> Duration {
    let nanos = time.as_secs() as f64 * 1e9 + f64::from(time.subsec_nanos());
    Duration::from_nanos((nanos * rate) as u64)
}
