//! Calls that are given up a while after nobody needs their answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::waiters::Waiters;
use crate::env::Env;
use crate::rpc::Call;
use crate::time::Instant;

/// More quorums than this whose late answers are awaited, and the first is released at once.
const AWAITED: usize = 1 << 14;

/// One list and one coroutine for all quorums of a node: a coroutine for each would cost more than the calls do.
#[derive(Default)]
pub(crate) struct Releases {
    due: RefCell<BTreeMap<(Instant, u64), Vec<Call>>>,
    serial: Cell<u64>,
    running: Cell<bool>,
    /// The coroutine, which sleeps until the first is due.
    sleeper: Waiters,
}

impl Releases {
    pub(crate) fn add(&self, env: &Env, after: Duration, mut calls: Vec<Call>) {
        calls.retain(Call::is_open);
        if calls.is_empty() {
            return;
        }
        self.serial.set(self.serial.get() + 1);
        let key = (env.now() + after, self.serial.get());
        let surplus = {
            let mut due = self.due.borrow_mut();
            due.insert(key, calls);
            (due.len() > AWAITED).then(|| due.pop_first()).flatten()
        };
        if let Some((_, calls)) = surplus {
            release(calls);
        }
        if self.next() == Some(key.0) {
            self.sleeper.wake_all();
        }
        if !self.running.replace(true) {
            let env = env.clone();
            env.clone()
                .spawn(async move { env.releases().run(&env).await });
        }
    }

    async fn run(&self, env: &Env) {
        while let Some(next) = self.next() {
            self.sleep_until(env, next).await;
            while let Some(calls) = self.pop_due(env.now()) {
                release(calls);
            }
        }
        self.running.set(false);
    }

    /// Sleeps until `next`, or until something is due earlier.
    async fn sleep_until(&self, env: &Env, next: Instant) {
        let place = self.sleeper.place();
        let mut timeout = pin!(env.timeout_at("release", next));
        poll_fn(|cx| {
            place.wait(cx);
            if self.next().is_some_and(|first| first < next) {
                return Poll::Ready(());
            }
            timeout.as_mut().poll(cx)
        })
        .await;
    }

    fn next(&self) -> Option<Instant> {
        self.due.borrow().first_key_value().map(|(key, _)| key.0)
    }

    fn pop_due(&self, now: Instant) -> Option<Vec<Call>> {
        let mut due = self.due.borrow_mut();
        let first = due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

fn release(calls: Vec<Call>) {
    for call in calls {
        call.release();
    }
}
