//! Events made of events.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Outcome;
use crate::env::Env;
use crate::trace::{Dependency, WaitsOn};

/// Anything that a coroutine can wait for, alone or as a part of an [`AndEvent`] or [`OrEvent`].
///
/// References to events are events too, so that parts can be asked afterwards what happened to them.
pub trait Event {
    /// [`Outcome::Ready`] once it is triggered, [`Outcome::Fail`] once it never will be.
    fn decided(&self) -> Option<Outcome>;

    /// Is finished when the event is decided. It is for compound events; what it waits for is not traced.
    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;

    /// On whom a wait for it depends.
    fn dependencies(&self) -> Vec<Dependency>;
}

impl<E: Event + ?Sized> Event for &E {
    fn decided(&self) -> Option<Outcome> {
        (**self).decided()
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        (**self).decision()
    }

    fn dependencies(&self) -> Vec<Dependency> {
        (**self).dependencies()
    }
}

type Parts<'a> = Vec<Box<dyn Event + 'a>>;

/// Is triggered when all its parts are; fails when one fails. Without parts it is triggered.
pub struct AndEvent<'a> {
    env: Env,
    parts: Parts<'a>,
}

/// Is triggered when any of its parts is; fails when all fail. Without parts it fails.
///
/// ```
/// # use std::time::Duration;
/// # use depfast::{NodeId, OrEvent, Outcome, QuorumEvent, Verdict, sim::Sim};
/// # let sim = Sim::new(1);
/// # let env = sim.env();
/// # env.clone().spawn(async move {
/// let (fast, slow) = (QuorumEvent::fast(&env, 7), QuorumEvent::majority(&env, 7));
/// # for member in 1..=5 { fast.vote(NodeId(member), Verdict::Accept) }
/// let path = OrEvent::new(&env).or(&fast).or(&slow);
/// match path.wait_for("either path", Duration::from_millis(10)).await {
///     Outcome::Ready if path.fired() == Some(0) => { /* fast path */ }
///     Outcome::Ready => { /* slow path */ }
///     Outcome::Fail | Outcome::Timeout => { /* recover */ }
/// }
/// # });
/// # sim.run_for(Duration::from_secs(1));
/// ```
pub struct OrEvent<'a> {
    env: Env,
    parts: Parts<'a>,
}

impl<'a> AndEvent<'a> {
    /// An event without parts.
    pub fn new(env: &Env) -> Self {
        Self {
            env: env.clone(),
            parts: Vec::new(),
        }
    }

    /// Adds a part.
    #[must_use]
    pub fn and(mut self, part: impl Event + 'a) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// Suspends the coroutine until all parts are triggered, or one has failed.
    pub async fn wait(&self, label: &'static str) -> Outcome {
        wait(&self.env, label, self).await
    }

    /// Suspends the coroutine until all parts are triggered, or one has failed, at most for `limit`.
    pub async fn wait_for(&self, label: &'static str, limit: Duration) -> Outcome {
        wait_for(&self.env, label, limit, self).await
    }
}

impl<'a> OrEvent<'a> {
    /// An event without parts.
    pub fn new(env: &Env) -> Self {
        Self {
            env: env.clone(),
            parts: Vec::new(),
        }
    }

    /// Adds a part.
    #[must_use]
    pub fn or(mut self, part: impl Event + 'a) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// The first of the parts that are triggered, in the order in which they were added, from zero.
    pub fn fired(&self) -> Option<usize> {
        let mut parts = self.parts.iter();
        parts.position(|part| part.decided() == Some(Outcome::Ready))
    }

    /// Suspends the coroutine until a part is triggered, or all have failed.
    pub async fn wait(&self, label: &'static str) -> Outcome {
        wait(&self.env, label, self).await
    }

    /// Suspends the coroutine until a part is triggered, or all have failed, at most for `limit`.
    pub async fn wait_for(&self, label: &'static str, limit: Duration) -> Outcome {
        wait_for(&self.env, label, limit, self).await
    }
}

impl Event for AndEvent<'_> {
    fn decided(&self) -> Option<Outcome> {
        let mut all = Some(Outcome::Ready);
        for part in &self.parts {
            match part.decided() {
                Some(Outcome::Ready) => {}
                Some(Outcome::Fail | Outcome::Timeout) => return Some(Outcome::Fail),
                None => all = None,
            }
        }
        all
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        decision(self, &self.parts)
    }

    fn dependencies(&self) -> Vec<Dependency> {
        let mut all = Vec::new();
        for part in &self.parts {
            all.extend(part.dependencies());
        }
        all
    }
}

impl Event for OrEvent<'_> {
    fn decided(&self) -> Option<Outcome> {
        let mut all = Some(Outcome::Fail);
        for part in &self.parts {
            match part.decided() {
                Some(Outcome::Ready) => return Some(Outcome::Ready),
                Some(Outcome::Fail | Outcome::Timeout) => {}
                None => all = None,
            }
        }
        all
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        decision(self, &self.parts)
    }

    /// Whoever waits for one of several is held up only by all of them: alternatives on single peers are together like a
    /// quorum of one, and what happens on the node itself matters only if nothing else does.
    fn dependencies(&self) -> Vec<Dependency> {
        let parts: Vec<_> = self.parts.iter().map(|part| part.dependencies()).collect();
        let is_remote =
            |it: &Dependency| matches!(it.on, WaitsOn::Peer(_) | WaitsOn::Quorum { .. });
        let remote = parts.iter().filter(|it| it.iter().any(is_remote)).count();
        let mut all: Vec<_> = parts.into_iter().flatten().collect();
        if remote > 0 {
            all.retain(is_remote);
        }
        if remote > 1 {
            let mut alternatives = Vec::new();
            all.retain(|it| match it.on {
                WaitsOn::Peer(peer) => {
                    alternatives.push(peer);
                    false
                }
                _ => true,
            });
            if !alternatives.is_empty() {
                let on = WaitsOn::Quorum {
                    needed: 1,
                    total: remote,
                };
                all.push(Dependency::new(on, alternatives));
            }
        }
        all
    }
}

/// Is finished when `whole` is decided, which only its undecided parts can bring about.
fn decision<'e>(
    whole: &'e dyn Event,
    parts: &'e [Box<dyn Event + '_>],
) -> Pin<Box<dyn Future<Output = ()> + 'e>> {
    let mut open: Vec<_> = parts.iter().map(|_| None).collect();
    Box::pin(poll_fn(move |cx: &mut Context<'_>| {
        for (part, open) in parts.iter().zip(&mut open) {
            // A part may be undecided again: a condition comes and goes.
            if part.decided().is_none()
                && open
                    .get_or_insert_with(|| part.decision())
                    .as_mut()
                    .poll(cx)
                    .is_ready()
            {
                *open = None;
                cx.waker().wake_by_ref();
            }
        }
        match whole.decided() {
            Some(_) => Poll::Ready(()),
            None => Poll::Pending,
        }
    }))
}

/// Waits for any event, and traces it.
pub(super) async fn wait(env: &Env, label: &'static str, event: &dyn Event) -> Outcome {
    if event.decided().is_none() {
        let (trace, dependencies) = (env.trace(), event.dependencies());
        let _waiting = trace.begin_all(label, &dependencies);
        let on = || {
            let on: Vec<_> = dependencies.iter().map(|it| it.on.to_string()).collect();
            on.join(", ")
        };
        let decided = env.within_default(label, on, event.decision()).await;
        if decided.is_none() {
            return Outcome::Timeout;
        }
    }
    event.decided().expect("it was waited for")
}

pub(super) async fn wait_for(
    env: &Env,
    label: &'static str,
    limit: Duration,
    event: &dyn Event,
) -> Outcome {
    let waiting = wait(env, label, event);
    env.within(label, limit, waiting)
        .await
        .unwrap_or(Outcome::Timeout)
}
