//! The seam between a protocol and the world.
//!
//! Time, randomness, coroutines, files, client streams and peers come through [`Env`]. It has two implementations,
//! [`real`](crate::real) and [`sim`](crate::sim), and code that names only this crate's types runs unchanged on both.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::detect::{Alerts, CpuTimes};
use crate::disk::{Disk, DiskBackend};
use crate::event::{DefaultTimeout, Releases, TimeoutEvent};
use crate::id::NodeId;
use crate::rng::Rng;
use crate::rpc::Endpoint;
use crate::stream::Listener;
use crate::time::Instant;
use crate::timers::{TimerKey, Timers};
use crate::trace::{Trace, Waiting, WaitsOn};

pub(crate) type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What an implementation of the environment provides.
pub(crate) trait Backend {
    fn now(&self) -> Instant;
    fn timers(&self) -> &Timers;
    /// When a deadline on the node's clock falls due on that of its timers.
    fn due(&self, at: Instant) -> Instant {
        at
    }
    /// Is told that a deadline was registered, so that it can wake up in time.
    fn arm(&self, at: Instant);
    fn spawn(&self, coroutine: LocalFuture<()>);
    fn disk(&self) -> Rc<dyn DiskBackend>;
    fn listen(&self, address: String) -> LocalFuture<io::Result<Listener>>;
    fn join(
        &self,
        endpoint: Endpoint,
        inbox: Rc<dyn Inbox>,
    ) -> LocalFuture<io::Result<Rc<dyn Transport>>>;
    fn terminated(&self) -> LocalFuture<()>;
    fn cpu_times(&self) -> CpuTimes;
    fn resident_memory(&self) -> u64;
}

/// Carries frames to peers, without ever waiting for one.
pub(crate) trait Transport {
    fn send(&self, to: NodeId, frame: Frame) -> Result<Ticket, SendError>;
    /// Takes a frame back, if it waits in this node's queue; says whether it did.
    fn withdraw(&self, to: NodeId, ticket: Ticket) -> bool;
    /// Keeps a connection to `id` from now on; it replaces an earlier one.
    fn add_peer(&self, id: NodeId, address: String);
    fn remove_peer(&self, id: NodeId);
}

/// A framed message: the four-byte length first, then header and body in pieces.
pub(crate) type Frame = Vec<Bytes>;

/// Names a frame that was sent. Later frames have larger tickets.
pub(crate) type Ticket = u64;

/// Why a frame was dropped at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    QueueFull,
    Disconnected,
}

/// Where a transport delivers what peers send.
pub(crate) trait Inbox {
    fn deliver(&self, from: NodeId, frame: Bytes);
    fn disconnected(&self, peer: NodeId);

    /// The node is gone, and what it awaited from others with it. Nothing of it runs any more.
    fn closed(&self);
}

/// A node's view of the world. Clones are handles to the same environment.
#[derive(Clone)]
pub struct Env(Rc<Inner>);

struct Inner {
    backend: Rc<dyn Backend>,
    rng: RefCell<Rng>,
    trace: Rc<Trace>,
    alerts: Rc<Alerts>,
    releases: Releases,
    default_timeout: DefaultTimeout,
}

impl Env {
    pub(crate) fn new(backend: Rc<dyn Backend>, seed: u64) -> Self {
        let trace = Rc::new(Trace::new(Rc::clone(&backend)));
        Self(Rc::new(Inner {
            rng: RefCell::new(Rng::new(seed)),
            alerts: Rc::new(Alerts::new(Rc::clone(&trace))),
            trace,
            backend,
            releases: Releases::default(),
            default_timeout: DefaultTimeout::default(),
        }))
    }

    /// The present, on a clock that never goes back.
    pub fn now(&self) -> Instant {
        self.0.backend.now()
    }

    /// Starts a coroutine.
    pub fn spawn(&self, coroutine: impl Future<Output = ()> + 'static) {
        self.0.backend.spawn(Box::pin(coroutine));
    }

    /// An event that is triggered after `delay`.
    pub fn timeout(&self, label: &'static str, delay: Duration) -> TimeoutEvent {
        self.timeout_at(label, self.now() + delay)
    }

    /// An event that is triggered at `at`.
    pub fn timeout_at(&self, label: &'static str, at: Instant) -> TimeoutEvent {
        TimeoutEvent::new(self.clone(), label, at)
    }

    /// Waits for `event`, at most for `limit`; `None` says that the limit was reached.
    pub async fn within<F: Future>(
        &self,
        label: &'static str,
        limit: Duration,
        event: F,
    ) -> Option<F::Output> {
        let mut event = pin!(event);
        let mut timeout = pin!(self.timeout(label, limit));
        poll_fn(|cx| {
            if let Poll::Ready(output) = event.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            timeout.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Lets every other runnable coroutine go first.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// A random duration in `range`.
    pub fn random_duration(&self, range: &Range<Duration>) -> Duration {
        self.0.rng.borrow_mut().duration(range)
    }

    /// 64 random bits.
    pub fn random_u64(&self) -> u64 {
        self.0.rng.borrow_mut().next_u64()
    }

    /// The node's data directory.
    pub fn disk(&self) -> Disk {
        Disk::new(self.0.backend.disk(), self.clone())
    }

    /// Listens for clients at `address`, `host:port`.
    ///
    /// # Errors
    ///
    /// Fails if the address is not available.
    pub async fn listen(&self, address: &str) -> io::Result<Listener> {
        self.0.backend.listen(address.to_owned()).await
    }

    /// Suspends the coroutine until the node is asked to stop.
    pub async fn terminated(&self) {
        self.0.backend.terminated().await;
    }

    /// The waits of this node so far.
    pub fn trace(&self) -> Rc<Trace> {
        Rc::clone(&self.0.trace)
    }

    pub(crate) fn releases(&self) -> &Releases {
        &self.0.releases
    }

    pub(crate) fn default_timeout(&self) -> &DefaultTimeout {
        &self.0.default_timeout
    }

    pub(crate) fn begin_wait(&self, label: &'static str, on: WaitsOn) -> Waiting {
        self.0.trace.begin(label, on)
    }

    /// What detectors have found; see [`detect`](crate::detect).
    pub fn alerts(&self) -> Rc<Alerts> {
        Rc::clone(&self.0.alerts)
    }

    /// What the worker thread did with its time since it was started.
    pub fn cpu_times(&self) -> CpuTimes {
        self.0.backend.cpu_times()
    }

    /// Memory that the process occupies, in bytes; zero if that is unknown, as in simulation.
    pub fn resident_memory(&self) -> u64 {
        self.0.backend.resident_memory()
    }

    pub(crate) fn timers(&self) -> &Timers {
        self.0.backend.timers()
    }

    pub(crate) fn register_timer(&self, at: Instant, waker: Waker) -> TimerKey {
        let due = self.0.backend.due(at);
        let key = self.timers().register(due, waker);
        self.0.backend.arm(due);
        key
    }

    pub(crate) async fn join(
        &self,
        endpoint: Endpoint,
        inbox: Rc<dyn Inbox>,
    ) -> io::Result<Rc<dyn Transport>> {
        self.0.backend.join(endpoint, inbox).await
    }
}

/// The members of a group and where each is reached.
pub type Addresses = BTreeMap<NodeId, String>;
