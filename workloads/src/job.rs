//! What a worker is told.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use vocab::ids::Phase;
use vocab::units::Span;

use crate::spec::Workload;

/// The protocol that is spoken with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// Redis: `SET` and `GET`, following `-MOVED`.
    Resp,
    /// Redis, in sessions, every request to both members that order them side by side: `DF.DO` to Copilot's pilots.
    Pilots,
    /// etcd version 3: `Put` and a linearizable `Range` of one key, over gRPC.
    Etcd,
}

/// The load of one trial, as one line of JSON on the worker's standard input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadJob {
    /// The protocol.
    pub driver: DriverKind,
    /// Where the members of the target take requests of clients.
    pub servers: Vec<SocketAddr>,
    /// The load.
    pub workload: Workload,
    /// Makes keys, the mix of operations and Poisson arrivals repeatable.
    pub seed: u64,
    /// The phases in their order; the load ends with the last.
    pub cuts: Vec<PhaseCut>,
    /// Whether the load starts only when the worker gets the signal SIGUSR1, after it has reported that it is ready: so
    /// several workers start together.
    #[serde(default)]
    pub hold: bool,
}

/// A phase and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseCut {
    /// The phase.
    pub phase: Phase,
    /// How long it lasts.
    pub length: Span,
}
