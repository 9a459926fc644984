//! Waiting for enough members, whoever they are.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::rpc::{RpcEvent, RpcResult};
use super::waiters::Waiters;
use crate::env::Env;
use crate::id::NodeId;
use crate::trace::WaitsOn;

/// What one member's answer means for the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The member agrees.
    Accept,
    /// The member refuses, or will never answer.
    Reject,
}

/// How a wait on a quorum ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Enough members accepted.
    Ready,
    /// So many members refused that the quorum can no longer be reached.
    Fail,
    /// Neither happened in time.
    Timeout,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Fail => "fail",
            Self::Timeout => "timeout",
        })
    }
}

/// The answers of a group, of which any `needed` suffice.
///
/// A member counts once; only its first answer matters. Answers that come after the decision are still counted, so
/// that [`accepts`](Self::accepts) may grow. Clones are handles to the same quorum.
#[derive(Clone)]
pub struct QuorumEvent(Rc<Inner>);

struct Inner {
    env: Env,
    needed: usize,
    total: usize,
    answers: RefCell<Vec<(NodeId, Verdict)>>,
    accepts: Cell<usize>,
    waiters: Waiters,
}

impl QuorumEvent {
    /// A quorum of `needed` out of `total` members.
    pub fn new(env: &Env, needed: usize, total: usize) -> Self {
        Self(Rc::new(Inner {
            env: env.clone(),
            needed,
            total,
            answers: RefCell::new(Vec::with_capacity(total)),
            accepts: Cell::new(0),
            waiters: Waiters::default(),
        }))
    }

    /// More than half of `total` members.
    pub fn majority(env: &Env, total: usize) -> Self {
        Self::new(env, total / 2 + 1, total)
    }

    /// Counts a member's answer.
    pub fn vote(&self, member: NodeId, verdict: Verdict) {
        {
            let mut answers = self.0.answers.borrow_mut();
            if answers.iter().any(|(known, _)| *known == member) {
                return;
            }
            answers.push((member, verdict));
        }
        if verdict == Verdict::Accept {
            self.0.accepts.set(self.0.accepts.get() + 1);
        }
        if self.decided().is_some() {
            self.0.waiters.wake_all();
        }
    }

    /// Makes the answer to `call` count as `judge` says. A call that cannot be answered is a refusal.
    pub fn add(&self, call: RpcEvent, judge: impl FnOnce(&RpcResult) -> Verdict + 'static) {
        let quorum = self.clone();
        let member = call.peer();
        call.observe(move |result| quorum.vote(member, judge(&result)));
    }

    /// Members that accepted so far.
    pub fn accepts(&self) -> usize {
        self.0.accepts.get()
    }

    /// Members that refused so far.
    pub fn rejects(&self) -> usize {
        self.0.answers.borrow().len() - self.0.accepts.get()
    }

    /// The outcome, if the answers so far decide it.
    pub fn decided(&self) -> Option<Outcome> {
        if self.accepts() >= self.0.needed {
            Some(Outcome::Ready)
        } else if self.0.total.saturating_sub(self.rejects()) < self.0.needed {
            Some(Outcome::Fail)
        } else {
            None
        }
    }

    /// Suspends the coroutine until the quorum is decided.
    pub async fn wait(&self, label: &'static str) -> Outcome {
        let mut waiting = None;
        let place = self.0.waiters.place();
        poll_fn(|cx| {
            if let Some(outcome) = self.decided() {
                return Poll::Ready(outcome);
            }
            waiting.get_or_insert_with(|| {
                let on = WaitsOn::Quorum {
                    needed: self.0.needed,
                    total: self.0.total,
                };
                self.0.env.trace().begin(label, on)
            });
            place.wait(cx);
            Poll::Pending
        })
        .await
    }

    /// Suspends the coroutine until the quorum is decided, at most for `limit`.
    pub async fn wait_for(&self, label: &'static str, limit: Duration) -> Outcome {
        self.0
            .env
            .within(label, limit, self.wait(label))
            .await
            .unwrap_or(Outcome::Timeout)
    }
}

impl fmt::Display for QuorumEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { needed, total, .. } = *self.0;
        write!(
            f,
            "{}+{}- of {needed}/{total}",
            self.accepts(),
            self.rejects()
        )
    }
}
