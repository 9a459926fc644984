//! Larger turns for a worker that its CPU budget holds back, as network cards moderate their interrupts.
//!
//! Much of what a turn costs does not grow with what it handles: waking up, a system call per connection, a flush. A worker
//! that used its budget up would spend what it saves by handling the backlog at once on many small turns right after, until
//! it is held back again. Where only neighbours share its core it gets its part of the core anyway, and nothing changes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::budget::Budgets;

/// How often the worker looks whether it was held back.
const LOOK: Duration = Duration::from_millis(10);
/// From the beginning of one turn to that of the next, for a worker that is held back: at first, and at most.
const FIRST: Duration = Duration::from_micros(100);
const MOST: Duration = Duration::from_micros(500);
/// One part in so many is taken off at each look that finds it was not held back: half of it in half a minute. Sooner, and the
/// worker would find out every second that it still has too little.
const DECAY: u32 = 4096;

/// The turns of a worker thread. Only that thread calls it; it is shareable because the runtime's hooks have to be.
pub(super) struct Turns(Mutex<State>);

struct State {
    budgets: Budgets,
    held_back: u64,
    looked: Instant,
    began: Instant,
    interval: Interval,
}

impl Turns {
    pub(super) fn new(budgets: Budgets) -> Self {
        let now = Instant::now();
        Self(Mutex::new(State {
            held_back: budgets.held_back(),
            budgets,
            looked: now,
            began: now,
            interval: Interval::default(),
        }))
    }

    /// The worker has something to do again.
    pub(super) fn begin(&self) {
        self.with(|state| state.began = Instant::now());
    }

    /// The worker has done what there was, and sleeps before it looks for more if it is short of CPU.
    pub(super) fn end(&self) {
        let rest = self.with(State::end);
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn end(&mut self) -> Duration {
        let now = Instant::now();
        if now - self.looked >= LOOK {
            self.looked = now;
            let before = std::mem::replace(&mut self.held_back, self.budgets.held_back());
            self.interval.adapt(self.held_back > before);
        }
        self.interval.0.saturating_sub(now - self.began)
    }
}

/// The least time from the beginning of one turn to that of the next; zero for a worker that is not held back.
#[derive(Default)]
struct Interval(Duration);

impl Interval {
    fn adapt(&mut self, was_held_back: bool) {
        let less = self.0 * (DECAY - 1) / DECAY;
        self.0 = match was_held_back {
            true => (self.0 * 2).clamp(FIRST, MOST),
            false if less < FIRST / 2 => Duration::ZERO,
            false => less,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_move_apart_while_held_back_and_together_again_after() {
        let mut interval = Interval::default();
        interval.adapt(false);
        assert_eq!(interval.0, Duration::ZERO);
        for expected in [100, 200, 400, 500, 500] {
            interval.adapt(true);
            assert_eq!(interval.0, Duration::from_micros(expected));
        }
        let looks = (0..).take_while(|_| {
            interval.adapt(false);
            !interval.0.is_zero()
        });
        assert!((5_000..50_000).contains(&looks.count()));
    }
}
