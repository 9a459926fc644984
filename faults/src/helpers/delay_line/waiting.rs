use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// What waits until it is due; of what is due at the same time, the first that came.
pub(super) struct Waiting<T> {
    heap: BinaryHeap<Reverse<Item<T>>>,
    came: u64,
    left: u64,
    lateness: Duration,
    worst: Duration,
}

struct Item<T> {
    due: Instant,
    number: u64,
    what: T,
}

impl<T> Item<T> {
    fn key(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Item<T>) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Item<T>) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Item<T>) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Waiting<T> {
        Waiting {
            heap: BinaryHeap::new(),
            came: 0,
            left: 0,
            lateness: Duration::ZERO,
            worst: Duration::ZERO,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn add(&mut self, due: Instant, what: T) {
        let number = self.came;
        self.came += 1;
        self.heap.push(Reverse(Item { due, number, what }));
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(item)| item.due)
    }

    /// Takes out the first that is due by `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(item) = self.heap.pop()?;
        let late = Instant::now().min(now).saturating_duration_since(item.due);
        self.left += 1;
        self.lateness += late;
        self.worst = self.worst.max(late);
        Some(item.what)
    }

    /// How much later than due things were taken out, on average.
    pub(super) fn mean_lateness(&self) -> Duration {
        let mean = self.lateness.as_nanos() / u128::from(self.left.max(1));
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// How much later than due the latest was taken out.
    pub(super) fn worst_lateness(&self) -> Duration {
        self.worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_leave_when_due_and_not_before() {
        let mut waiting = Waiting::new();
        let start = Instant::now() - Duration::from_secs(60);
        let after = |millis| start + Duration::from_millis(millis);
        for (due, what) in [(40, 'a'), (70, 'd'), (41, 'b'), (41, 'c')] {
            waiting.add(after(due), what);
        }
        assert_eq!(waiting.next_due(), Some(after(40)));
        assert_eq!(waiting.due(after(39)), None);
        let due: String = std::iter::from_fn(|| waiting.due(after(43))).collect();
        assert_eq!(due, "abc");
        assert_eq!((waiting.len(), waiting.next_due()), (1, Some(after(70))));
        assert_eq!(waiting.worst_lateness(), Duration::from_millis(3));
        assert_eq!(waiting.mean_lateness(), Duration::from_millis(7) / 3);
    }
}
