//! How far a node's clock is from this machine's.

use std::time::Duration;

use vocab::time::Monotonic;

/// The difference between a node's monotonic clock and this machine's. Nodes of this machine have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockOffset {
    /// What must be added to the node's clock, in nanoseconds.
    nanos: i64,
    /// The most that it can be wrong: half the shortest round trip.
    error: Duration,
}

impl ClockOffset {
    /// From the question sent and answered by this machine's clock, and the node's clock in between.
    pub(super) fn measured(sent: Monotonic, told: Monotonic, heard: Monotonic) -> ClockOffset {
        let error = heard.since(sent) / 2;
        let middle = sent.nanos() as i64 + error.as_nanos() as i64;
        ClockOffset {
            nanos: middle - told.nanos() as i64,
            error,
        }
    }

    /// The more exact of the two.
    #[must_use]
    pub(super) fn or(self, other: ClockOffset) -> ClockOffset {
        if other.error < self.error {
            other
        } else {
            self
        }
    }

    /// A moment of the node's clock, by this machine's.
    pub fn local(self, at: Monotonic) -> Monotonic {
        Monotonic::from_nanos(at.nanos().saturating_add_signed(self.nanos))
    }

    /// What must be added to the node's clock, in nanoseconds.
    pub fn nanos(self) -> i64 {
        self.nanos
    }

    /// The most that a time can be wrong.
    pub fn error(self) -> Duration {
        self.error
    }
}

impl From<ClockOffset> for results::NodeClock {
    fn from(clock: ClockOffset) -> results::NodeClock {
        results::NodeClock {
            offset_ns: clock.nanos,
            error_ns: u64::try_from(clock.error.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_round_trip_counts() {
        let at = Monotonic::from_nanos;
        let slow = ClockOffset::measured(at(1_000), at(500_000), at(9_000));
        let fast = ClockOffset::measured(at(10_000), at(509_100), at(10_200));
        assert_eq!(slow.or(fast), fast);
        assert_eq!(fast.error(), Duration::from_nanos(100));
        assert_eq!(fast.local(at(509_100)), at(10_100));
        // Before this machine started there is nothing.
        assert_eq!(fast.local(at(7)), at(0));
        assert_eq!(ClockOffset::default().local(at(7)), at(7));
    }
}
