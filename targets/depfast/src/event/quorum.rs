//! Waiting for enough members, whoever they are.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::rpc::{RpcEvent, RpcResult};
use super::waiters::Waiters;
use super::{Event, Outcome};
use crate::env::Env;
use crate::id::NodeId;
use crate::rpc::Call;
use crate::trace::{Dependency, WaitsOn};

/// What one member's answer means for the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The member agrees.
    Accept,
    /// The member refuses, or will never answer.
    Reject,
}

/// The answers of a group, of which any `needed` suffice.
///
/// A member counts once; only its first answer matters. Answers that come after the decision are still counted, so
/// that [`accepts`](Self::accepts) may grow. Clones are handles to the same quorum.
///
/// One call's answer may count in several quorums, each with its own judgement:
///
/// ```
/// # use depfast::{NodeId, QuorumEvent, Rpc, Verdict, Env};
/// # use depfast::event::RpcResult;
/// # fn propose(env: &Env, rpc: &Rpc, same: fn(&RpcResult) -> Verdict, ok: fn(&RpcResult) -> Verdict) {
/// let (fast, slow) = (QuorumEvent::fast(env, 5), QuorumEvent::majority(env, 5));
/// for peer in rpc.peers() {
///     let call = rpc.call(peer, 1, Vec::new());
///     fast.watch(&call, same);
///     slow.watch(&call, ok);
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct QuorumEvent(Rc<Inner>);

struct Inner {
    env: Env,
    needed: usize,
    total: usize,
    /// Whoever was asked or has answered.
    members: RefCell<Vec<(NodeId, Option<Verdict>)>>,
    accepts: Cell<usize>,
    rejects: Cell<usize>,
    /// Calls that may be given up.
    calls: RefCell<Vec<Call>>,
    release: Cell<Option<Duration>>,
    drops_unsent: Cell<bool>,
    waiters: Waiters,
}

impl QuorumEvent {
    /// A quorum of `needed` out of `total` members.
    pub fn new(env: &Env, needed: usize, total: usize) -> Self {
        Self(Rc::new(Inner {
            env: env.clone(),
            needed,
            total,
            members: RefCell::new(Vec::with_capacity(total)),
            accepts: Cell::new(0),
            rejects: Cell::new(0),
            calls: RefCell::default(),
            release: Cell::new(None),
            drops_unsent: Cell::new(false),
            waiters: Waiters::default(),
        }))
    }

    /// More than half of `total` members.
    pub fn majority(env: &Env, total: usize) -> Self {
        Self::new(env, total / 2 + 1, total)
    }

    /// The fast quorum of Fast-Path protocols such as EPaxos and Copilot: f + ⌊(f+1)/2⌋ of `total` = 2f+1 members, the
    /// proposer included.
    pub fn fast(env: &Env, total: usize) -> Self {
        let f = total.saturating_sub(1) / 2;
        Self::new(env, (f + f.div_ceil(2)).max(total / 2 + 1), total)
    }

    /// How many members have to accept.
    pub fn needed(&self) -> usize {
        self.0.needed
    }

    /// How many members there are.
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// Counts a member's answer.
    pub fn vote(&self, member: NodeId, verdict: Verdict) {
        {
            let mut members = self.0.members.borrow_mut();
            match members.iter_mut().find(|(known, _)| *known == member) {
                Some((_, Some(_))) => return,
                Some((_, unknown)) => *unknown = Some(verdict),
                None => members.push((member, Some(verdict))),
            }
        }
        let count = match verdict {
            Verdict::Accept => &self.0.accepts,
            Verdict::Reject => &self.0.rejects,
        };
        count.set(count.get() + 1);
        if self.decided().is_some() {
            self.0.waiters.wake_all();
            self.let_go();
        }
    }

    /// What a member has answered so far.
    pub fn verdict(&self, member: NodeId) -> Option<Verdict> {
        let members = self.0.members.borrow();
        let (_, verdict) = members.iter().find(|(known, _)| *known == member)?;
        *verdict
    }

    /// Makes the answer to `call` count as `judge` says. A call that cannot be answered is a refusal, if `judge` agrees.
    pub fn add(&self, call: RpcEvent, judge: impl FnOnce(&RpcResult) -> Verdict + 'static) {
        self.watch(&call, judge);
        drop(call);
    }

    /// Like [`add`](Self::add), but leaves the answer to others as well: to another quorum or to an observer.
    pub fn watch(&self, call: &RpcEvent, judge: impl FnOnce(&RpcResult) -> Verdict + 'static) {
        let (quorum, member) = (self.clone(), call.peer());
        {
            let mut members = self.0.members.borrow_mut();
            if members.iter().all(|(known, _)| *known != member) {
                members.push((member, None));
            }
        }
        if let Some(call) = &call.call {
            self.0.calls.borrow_mut().push(call.clone());
        }
        call.watch(move |result| quorum.vote(member, judge(result)));
        self.let_go();
    }

    /// From the decision on, drops the added calls that have not left this node, because the peer or the way to it is
    /// slow: a broadcast needs only a quorum. They fail with [`RpcError::NotNeeded`](crate::RpcError::NotNeeded), so that
    /// a protocol whose messages have to arrive in order knows where the order is broken.
    pub fn drop_unsent(&self) {
        self.0.drops_unsent.set(true);
        self.let_go();
    }

    /// Frees what late answers hold, `after` the decision: calls that are still unanswered then fail with
    /// [`RpcError::Released`](crate::RpcError::Released), so that neither their place nor their closures are kept.
    pub fn release(&self, after: Duration) {
        self.0.release.set(Some(after));
        self.let_go();
    }

    /// Does what is to be done about calls once the quorum is decided.
    fn let_go(&self) {
        let Inner { env, calls, .. } = &*self.0;
        let lets_go = self.0.drops_unsent.get() || self.0.release.get().is_some();
        if !lets_go || self.decided().is_none() || calls.borrow().is_empty() {
            return;
        }
        let mut open = calls.take();
        if self.0.drops_unsent.get() {
            open.retain(|call| !call.drop_unsent());
        }
        match self.0.release.get() {
            Some(after) => env.releases().add(env, after, open),
            None => calls.borrow_mut().append(&mut open),
        }
    }

    /// Members that accepted so far.
    pub fn accepts(&self) -> usize {
        self.0.accepts.get()
    }

    /// Members that refused so far.
    pub fn rejects(&self) -> usize {
        self.0.rejects.get()
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

    /// Suspends the coroutine until the quorum is decided, or the [default timeout](Env::set_default_timeout) is reached.
    pub async fn wait(&self, label: &'static str) -> Outcome {
        if self.decided().is_none() {
            let waiting = self.0.env.begin_wait(label, self.waits_on());
            let on = || self.waits_on().to_string();
            let reached = self.0.env.within_default(label, on, self.reach()).await;
            waiting.met(self.0.members.borrow().iter().map(|(member, _)| *member));
            if reached.is_none() {
                return Outcome::Timeout;
            }
        }
        self.decided().expect("it was waited for")
    }

    async fn reach(&self) {
        let place = self.0.waiters.place();
        poll_fn(|cx| {
            if self.decided().is_some() {
                return Poll::Ready(());
            }
            place.wait(cx);
            Poll::Pending
        })
        .await;
    }

    /// Suspends the coroutine until the quorum is decided, at most for `limit`.
    pub async fn wait_for(&self, label: &'static str, limit: Duration) -> Outcome {
        self.0
            .env
            .within(label, limit, self.wait(label))
            .await
            .unwrap_or(Outcome::Timeout)
    }

    fn waits_on(&self) -> WaitsOn {
        WaitsOn::Quorum {
            needed: self.0.needed,
            total: self.0.total,
        }
    }
}

impl Event for QuorumEvent {
    fn decided(&self) -> Option<Outcome> {
        Self::decided(self)
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(self.reach())
    }

    fn dependencies(&self) -> Vec<Dependency> {
        let members = self.0.members.borrow();
        let members = members.iter().map(|(member, _)| *member).collect();
        vec![Dependency::new(self.waits_on(), members)]
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
