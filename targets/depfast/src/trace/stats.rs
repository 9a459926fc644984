//! How long waits of one kind took.

use std::time::Duration;

use super::WaitsOn;

/// Buckets of the histogram: the last one holds everything from about two minutes on.
const BUCKETS: usize = 28;

/// All waits with one label on one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStats {
    /// The label in the protocol's code.
    pub label: &'static str,
    /// On whom it waited.
    pub on: WaitsOn,
    /// How often a coroutine was suspended, also those that still are.
    pub count: u64,
    /// The time spent in those that have ended, whether the event came or was given up.
    pub total: Duration,
    /// The longest of those.
    pub longest: Duration,
    /// How long they took, roughly.
    pub histogram: Histogram,
}

impl WaitStats {
    pub(super) const fn new(label: &'static str, on: WaitsOn) -> Self {
        Self {
            label,
            on,
            count: 0,
            total: Duration::ZERO,
            longest: Duration::ZERO,
            histogram: Histogram([0; BUCKETS]),
        }
    }

    pub(super) fn end(&mut self, took: Duration) {
        self.total = self.total.saturating_add(took);
        self.longest = self.longest.max(took);
        self.histogram.record(took);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
        for (sum, count) in self.histogram.0.iter_mut().zip(other.histogram.0) {
            *sum += count;
        }
    }

    /// How many have ended.
    pub fn ended(&self) -> u64 {
        self.histogram.count()
    }

    /// The time of an average wait that has ended; zero if none has.
    pub fn mean(&self) -> Duration {
        let nanos = self.total.as_nanos() / u128::from(self.ended().max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A coarse histogram: each bucket reaches twice as far as the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram([u64; BUCKETS]);

impl Histogram {
    const fn record(&mut self, took: Duration) {
        let bits = (u128::BITS - took.as_micros().leading_zeros()) as usize;
        self.0[if bits < BUCKETS { bits } else { BUCKETS - 1 }] += 1;
    }

    /// How many are in it.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The buckets that are not empty: an upper bound of the time, and how many took less than that but not less than
    /// half of it.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        (0u32..)
            .zip(self.0)
            .filter(|(_, count)| *count > 0)
            .map(|(bits, count)| (Duration::from_micros(1 << bits), count))
    }

    /// An upper bound of the time that the given share of the waits took, from 0 to 1; `None` if there are none.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let mut left = (self.count() as f64 * share).ceil() as u64;
        self.buckets().find_map(|(bound, count)| {
            left = left.saturating_sub(count);
            (left == 0).then_some(bound)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_falls_into_the_bucket_that_bounds_it() {
        let mut stats = WaitStats::new("test", WaitsOn::Disk);
        for micros in [0, 1, 3, 1000, 1023, 1024] {
            stats.end(Duration::from_micros(micros));
        }
        let micros = |(bound, count): (Duration, u64)| (bound.as_micros(), count);
        let buckets: Vec<_> = stats.histogram.buckets().map(micros).collect();
        assert_eq!(buckets, [(1, 1), (2, 1), (4, 1), (1024, 2), (2048, 1)]);
        assert_eq!(
            stats.histogram.quantile(0.5),
            Some(Duration::from_micros(4))
        );
        assert_eq!(
            stats.histogram.quantile(1.0),
            Some(Duration::from_micros(2048))
        );
        assert_eq!(stats.mean(), Duration::from_nanos(3_051_000 / 6));
        stats.end(Duration::MAX);
        assert_eq!(stats.histogram.count(), 7);
    }
}
