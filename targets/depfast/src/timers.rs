//! Pending deadlines, in the order in which they fall due.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;

use crate::time::Instant;

/// A registered deadline.
pub(crate) type TimerKey = (Instant, u64);

/// Deadlines and whom to wake at each. Ties fire in the order of registration.
#[derive(Default)]
pub(crate) struct Timers {
    queue: RefCell<BTreeMap<TimerKey, Waker>>,
    registered: Cell<u64>,
}

impl Timers {
    pub(crate) fn register(&self, at: Instant, waker: Waker) -> TimerKey {
        let serial = self.registered.get();
        self.registered.set(serial + 1);
        self.queue.borrow_mut().insert((at, serial), waker);
        (at, serial)
    }

    /// Replaces the waker of a deadline; says whether that has not fired yet.
    pub(crate) fn refresh(&self, key: TimerKey, waker: &Waker) -> bool {
        let mut queue = self.queue.borrow_mut();
        let Some(old) = queue.get_mut(&key) else {
            return false;
        };
        old.clone_from(waker);
        true
    }

    pub(crate) fn cancel(&self, key: TimerKey) {
        self.queue.borrow_mut().remove(&key);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.borrow().first_key_value().map(|(key, _)| key.0)
    }

    pub(crate) fn clear(&self) {
        let forgotten = self.queue.take();
        drop(forgotten);
    }

    /// Wakes everything due at `now`.
    pub(crate) fn fire(&self, now: Instant) {
        while let Some(waker) = self.pop_due(now) {
            waker.wake();
        }
    }

    fn pop_due(&self, now: Instant) -> Option<Waker> {
        let mut queue = self.queue.borrow_mut();
        let entry = queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}
