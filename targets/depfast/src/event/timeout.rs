//! Waiting for a point in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::env::Env;
use crate::time::Instant;
use crate::timers::TimerKey;
use crate::trace::{Waiting, WaitsOn};

/// A point in time to wait for. Dropping it cancels it.
#[must_use = "a timeout passes only when it is awaited"]
pub struct TimeoutEvent {
    env: Env,
    label: &'static str,
    at: Instant,
    timer: Option<(TimerKey, Waiting)>,
}

impl TimeoutEvent {
    pub(crate) const fn new(env: Env, label: &'static str, at: Instant) -> Self {
        Self {
            env,
            label,
            at,
            timer: None,
        }
    }
}

impl Future for TimeoutEvent {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.env.now() >= self.at {
            self.stop();
            return Poll::Ready(());
        }
        if let Some((key, _)) = &self.timer {
            self.env.timers().refresh(*key, cx.waker());
        } else {
            let waiting = self.env.trace().begin(self.label, WaitsOn::Time);
            let key = self.env.register_timer(self.at, cx.waker().clone());
            self.timer = Some((key, waiting));
        }
        Poll::Pending
    }
}

impl TimeoutEvent {
    fn stop(&mut self) {
        if let Some((key, _waiting)) = self.timer.take() {
            self.env.timers().cancel(key);
        }
    }
}

impl Drop for TimeoutEvent {
    fn drop(&mut self) {
        self.stop();
    }
}
