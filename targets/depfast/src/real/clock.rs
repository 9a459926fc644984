//! Time and timers. tokio's timers have a grain of one millisecond, so one timerfd carries all deadlines instead.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::time::Instant;
use crate::timers::Timers;

pub(super) struct Clock {
    start: std::time::Instant,
    timers: Timers,
    timer: TimerFd,
    /// The same timer, watched by the runtime.
    expired: AsyncFd<OwnedFd>,
    armed: Cell<Option<Instant>>,
}

impl Clock {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let watched = timer.as_fd().try_clone_to_owned()?;
        // SAFETY: an `OwnedFd` names the same open descriptor as long as it lives, and it lives in the `AsyncFd`.
        let expired = unsafe { AsyncFd::register_with_interest(watched, Interest::READABLE)? };
        Ok(Self {
            start: std::time::Instant::now(),
            timers: Timers::default(),
            timer,
            expired,
            armed: Cell::new(None),
        })
    }

    pub(super) fn now(&self) -> Instant {
        Instant::START + self.start.elapsed()
    }

    pub(super) const fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Makes the descriptor fire at `at`, unless it fires earlier anyway.
    pub(super) fn arm(&self, at: Instant) {
        if self.armed.get().is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed.set(Some(at));
        // Zero would disarm the timer.
        let delay = at.since(self.now()).max(Duration::from_nanos(1));
        self.timer
            .set(
                Expiration::OneShot(delay.into()),
                TimerSetTimeFlags::empty(),
            )
            .expect("a timerfd accepts every positive delay");
    }

    pub(super) async fn drive(&self) {
        loop {
            let mut guard = self
                .expired
                .readable()
                .await
                .expect("the runtime outlives its coroutines");
            let mut expirations = [0; 8];
            let _count_or_spurious = nix::unistd::read(self.timer.as_fd(), &mut expirations);
            guard.clear_ready();
            drop(guard);
            self.armed.set(None);
            self.timers.fire(self.now());
            if let Some(next) = self.timers.next() {
                self.arm(next);
            }
        }
    }
}
