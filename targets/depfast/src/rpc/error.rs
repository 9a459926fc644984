//! Why calls fail.

use std::fmt;

use crate::env::SendError;

/// Why a call will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpcError {
    /// The queue to the peer was full, so that the call was never sent.
    QueueFull,
    /// There is no connection to the peer, or it broke, or it is no peer.
    Disconnected,
    /// So many later calls to this peer are unanswered that this one was given up.
    Superseded,
    /// It had not left this node when the quorum that it was for was decided, so it was dropped.
    NotNeeded,
    /// It was still unanswered a while after the quorum that it was for was decided, so it was given up.
    Released,
    /// The coroutine has waited for it as long as [`set_default_timeout`](crate::Env::set_default_timeout) allows.
    TimedOut,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "the queue to the peer is full",
            Self::Disconnected => "the peer is not connected",
            Self::Superseded => "the peer left too many calls unanswered",
            Self::NotNeeded => "the quorum was decided before the call left",
            Self::Released => "the call was given up after its quorum was decided",
            Self::TimedOut => "the default timeout was reached",
        })
    }
}

impl std::error::Error for RpcError {}

impl From<SendError> for RpcError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::QueueFull => Self::QueueFull,
            SendError::Disconnected => Self::Disconnected,
        }
    }
}
