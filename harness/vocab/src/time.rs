//! The wall clock labels, the monotonic clock measures; both are kept.

use crate::units::Span;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A wall-clock moment: nanoseconds since the Unix epoch, printed as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(i64);

impl Wall {
    /// Now, by this machine's clock.
    pub fn now() -> Wall {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Wall(since.as_nanos() as i64)
    }

    /// From nanoseconds since the Unix epoch.
    pub fn from_unix_nanos(nanos: i64) -> Wall {
        Wall(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub fn unix_nanos(self) -> i64 {
        self.0
    }

    /// As a compact UTC label for file names: `20261120T101502Z`.
    pub fn label(self) -> String {
        self.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

/// This machine's monotonic clock (`CLOCK_MONOTONIC`), comparable between processes of one machine and one boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Monotonic(u64);

impl Monotonic {
    /// From nanoseconds of the clock.
    pub fn from_nanos(nanos: u64) -> Monotonic {
        Monotonic(nanos)
    }

    /// Nanoseconds of the clock.
    pub fn nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to this moment; zero if it lies after.
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Monotonic {
    type Output = Monotonic;
    fn add(self, span: Duration) -> Monotonic {
        Monotonic(self.0 + span.as_nanos() as u64)
    }
}

/// A moment of a trial: time since its load started (negative before).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct TrialTime(i64);

impl TrialTime {
    /// From nanoseconds since the start of load.
    pub fn from_nanos(nanos: i64) -> TrialTime {
        TrialTime(nanos)
    }

    /// Nanoseconds since the start of load.
    pub fn nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the start of load.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, span: Span) -> TrialTime {
        let nanos = i64::try_from(span.duration().as_nanos()).unwrap_or(i64::MAX);
        TrialTime(self.0.saturating_add(nanos))
    }
}

impl fmt::Display for TrialTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_are_printed_in_utc() {
        let wall = Wall::from_unix_nanos(1_795_000_000_123_456_789);
        assert_eq!(wall.to_string(), "2026-11-18T11:06:40.123Z");
        assert_eq!(wall.label(), "20261118T110640Z");
    }
}
