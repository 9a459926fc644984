use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use vocab::units::Span;

use crate::spec::DelayedOperations;

/// What an operation is, as far as delays go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// It is to reach the disk before it is answered.
    Sync,
    /// Any other that comes through to the layer.
    Other,
}

/// How late operations are passed on; shared by the threads that do so.
#[derive(Debug, Default)]
pub(super) struct Delay {
    nanos: AtomicU64,
    on_all: AtomicBool,
    delayed: AtomicU64,
}

impl Delay {
    pub(super) fn set(&self, delay: Span, on: DelayedOperations) {
        // An operation in between may be taken for one of the other kind, which is as if it had come earlier or later.
        self.on_all
            .store(on == DelayedOperations::All, Ordering::Relaxed);
        let nanos = delay.duration().as_nanos();
        self.nanos
            .store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits, if operations of this kind are to.
    pub(super) fn wait(&self, operation: Operation) {
        let nanos = self.nanos.load(Ordering::Relaxed);
        let concerned = operation == Operation::Sync || self.on_all.load(Ordering::Relaxed);
        if nanos > 0 && concerned {
            self.delayed.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_nanos(nanos));
        }
    }

    pub(super) fn delayed(&self) -> u64 {
        self.delayed.load(Ordering::Relaxed)
    }
}
