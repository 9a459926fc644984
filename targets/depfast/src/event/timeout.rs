//! Waiting for a point in time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Event, Outcome};
use crate::env::Env;
use crate::time::Instant;
use crate::timers::TimerKey;
use crate::trace::{Dependency, Waiting, WaitsOn};

/// A point in time to wait for. Dropping it cancels it.
#[must_use = "a timeout passes only when it is awaited"]
pub struct TimeoutEvent {
    label: &'static str,
    alarm: Alarm,
    waiting: Option<Waiting>,
}

/// A point in time with the timer that wakes its only waiter.
struct Alarm {
    env: Env,
    at: Instant,
    timer: Option<TimerKey>,
}

impl TimeoutEvent {
    pub(crate) const fn new(env: Env, label: &'static str, at: Instant) -> Self {
        let timer = None;
        Self {
            label,
            alarm: Alarm { env, at, timer },
            waiting: None,
        }
    }
}

impl Future for TimeoutEvent {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let poll = self.alarm.poll(cx);
        if poll.is_ready() {
            self.waiting = None;
        } else if self.waiting.is_none() {
            self.waiting = Some(self.alarm.env.begin_wait(self.label, WaitsOn::Time));
        }
        poll
    }
}

impl Event for TimeoutEvent {
    fn decided(&self) -> Option<Outcome> {
        (self.alarm.env.now() >= self.alarm.at).then_some(Outcome::Ready)
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let mut alarm = Alarm {
            env: self.alarm.env.clone(),
            at: self.alarm.at,
            timer: None,
        };
        Box::pin(poll_fn(move |cx| alarm.poll(cx)))
    }

    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::new(WaitsOn::Time, Vec::new())]
    }
}

impl Alarm {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.env.now() >= self.at {
            self.cancel();
            return Poll::Ready(());
        }
        let timers = self.env.timers();
        let pending = self
            .timer
            .is_some_and(|key| timers.refresh(key, cx.waker()));
        if !pending {
            // The first time, or the clock has slowed down since.
            self.timer = Some(self.env.register_timer(self.at, cx.waker().clone()));
        }
        Poll::Pending
    }

    fn cancel(&mut self) {
        if let Some(key) = self.timer.take() {
            self.env.timers().cancel(key);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.cancel();
    }
}
