//! What a worker answers.

use std::collections::BTreeMap;

use history::Operation;
use results::{ErrorKind, Interval};
use serde::{Deserialize, Serialize};
use vocab::time::{Monotonic, Wall};

/// One line of JSON on the worker's standard output.
///
/// In this order: `ready`, `started`, any number of the others, `done`; or `failed` at any point, as the last.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadReport {
    /// The worker is connected and about to start.
    Ready {
        /// How many of its connections are established.
        connected: u32,
    },
    /// The load has started: zero of the trial's time.
    Started {
        /// By the monotonic clock of the worker's machine.
        at: Monotonic,
        /// By its wall clock.
        wall: Wall,
    },
    /// A stretch of the load is over.
    Interval(Interval),
    /// Something about a connection that a reader of the timeline wants to know.
    Notice(LoadNotice),
    /// An operation on a sampled key ended; the last ones, after the load, read every sampled key once.
    Operation(Operation),
    /// The last phase is over.
    Done(LoadTotals),
    /// The load could not go on.
    Failed {
        /// Why.
        message: String,
    },
}

/// Something that happened to the worker's connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadNotice {
    /// When.
    pub at: Monotonic,
    /// What.
    pub kind: NoticeKind,
    /// Between whom, and why.
    pub detail: String,
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// A server sent the clients to another one, which was not known to be the leader before.
    Redirected,
    /// A connection broke or could not be made; told once a second at most.
    ConnectionLost,
    /// The sampled keys could not all be read after the load: a lost write may go unnoticed.
    ReadBackFailed,
    /// The worker itself used nearly all of its CPU: what it measured may be its own limit.
    WorkerBusy,
}

/// The whole load in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadTotals {
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that did not, by why.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Open loop: operations sent late.
    pub late: u64,
    /// Open loop: operations never sent.
    pub dropped: u64,
    /// Operations still in flight when the load ended; they count nowhere else.
    pub unfinished: u64,
    /// CPU time the worker used per second of load; 1 is one CPU.
    pub cpu_share: f64,
}
