//! Waiting for the answer of one peer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;

use super::completion::Completion;
use super::{Event, Outcome};
use crate::env::Env;
use crate::id::NodeId;
use crate::rpc::{Call, RpcError};
use crate::trace::{Dependency, WaitsOn};

/// The answer of one peer, or why there will be none.
pub type RpcResult = Result<Bytes, RpcError>;

/// A call that was sent to one peer.
///
/// Waiting on it makes the coroutine as slow as that peer. Put it into a [`QuorumEvent`](super::QuorumEvent), or
/// observe it, wherever the protocol allows. Dropping it does not take the call back.
#[must_use = "an unobserved call has no effect here"]
pub struct RpcEvent {
    pub(crate) peer: NodeId,
    pub(crate) completion: Completion<RpcResult>,
    pub(crate) env: Env,
    /// What can still be done about it; nothing if it failed at once.
    pub(crate) call: Option<Call>,
}

impl RpcEvent {
    /// The peer that was called.
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// Why the call failed, if that is known already, as when the queue to the peer is full.
    pub fn error(&self) -> Option<RpcError> {
        self.completion
            .peek(|result| result.as_ref().err().copied())
            .flatten()
    }

    /// Has `observer` called with the answer when it comes, however late.
    pub fn observe(self, observer: impl FnOnce(RpcResult) + 'static) {
        self.completion.observe(observer);
    }

    /// Has `watcher` look at the answer when it comes, before whoever it is for. There may be several.
    pub fn watch(&self, watcher: impl FnOnce(&RpcResult) + 'static) {
        self.completion.watch(watcher);
    }

    /// Suspends the coroutine until this one peer has answered.
    ///
    /// # Errors
    ///
    /// Says why the peer will not answer this call.
    pub async fn wait(self, label: &'static str) -> RpcResult {
        let (mut waiting, on) = (None, WaitsOn::Peer(self.peer));
        let answer = poll_fn(|cx| match self.completion.poll_take(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => {
                waiting.get_or_insert_with(|| self.env.begin_wait(label, on));
                Poll::Pending
            }
        });
        let answer = self.env.within_default(label, || on.to_string(), answer);
        answer.await.unwrap_or(Err(RpcError::TimedOut))
    }
}

/// An answer triggers it, the lack of one fails it.
impl Event for RpcEvent {
    fn decided(&self) -> Option<Outcome> {
        self.completion.peek(|result| match result {
            Ok(_) => Outcome::Ready,
            Err(_) => Outcome::Fail,
        })
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(poll_fn(|cx| self.completion.poll_done(cx)))
    }

    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::new(WaitsOn::Peer(self.peer), vec![self.peer])]
    }
}
