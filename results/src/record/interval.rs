use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vocab::ids::Phase;
use vocab::time::TrialTime;
use vocab::units::Span;

use super::Latency;
use crate::closed_set::closed_set;

closed_set! {
    /// A kind of operation, as the clients see it.
    pub enum OpKind {
        /// Sets a key.
        Write = "write",
        /// Gets a key.
        Read = "read",
    }
}

closed_set! {
    /// Why an operation did not succeed.
    pub enum ErrorKind {
        /// No answer within the operation's time.
        Timeout = "timeout",
        /// The connection could not be made or broke; whether the operation took effect is unknown.
        Connection = "connection",
        /// The server named another one to ask (`-MOVED`, not leader).
        Redirect = "redirect",
        /// The server knows of no leader, or the cluster is down (`-CLUSTERDOWN`).
        ClusterDown = "cluster-down",
        /// The server refused for lack of room (queue or memory full).
        Overload = "overload",
        /// Any other error that the server answered.
        Server = "server",
        /// An answer that the protocol does not allow here.
        Protocol = "protocol",
    }
}

/// What the clients saw of one kind of operation in a stretch of time (usually a second) that lies within one phase.
///
/// An operation belongs to the interval in which it ended. Every kind of operation that the workload has gets its own
/// interval for the same stretch, also when nothing succeeded in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The phase it lies in.
    pub phase: Phase,
    /// When it started, since load started.
    pub start: TrialTime,
    /// How long it was.
    pub length: Span,
    /// The kind of operation.
    pub op: OpKind,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that did not, by why; kinds that did not occur are absent.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Open loop: operations sent after their intended moment because no connection was free.
    pub late: u64,
    /// Open loop: operations never sent, because too many were waiting already.
    pub dropped: u64,
    /// Of the operations that succeeded; in an open loop from the intended moment.
    pub latency: Latency,
}

impl Interval {
    /// An interval in which nothing happened yet.
    pub fn new(phase: Phase, start: TrialTime, length: Span, op: OpKind) -> Interval {
        Interval {
            phase,
            start,
            length,
            op,
            ok: 0,
            errors: BTreeMap::new(),
            late: 0,
            dropped: 0,
            latency: Latency::new(),
        }
    }

    /// Operations that did not succeed, of all kinds.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}
