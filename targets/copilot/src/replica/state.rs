//! What the coroutines of a replica share, between two steps.

use std::collections::BTreeMap;

use depfast::Instant;

use crate::batch::BatchBuilder;
use crate::core::{Acceptor, Both, Index, ReplicaId, Role, View};
use crate::machine::Machine;
use crate::replica::proxy::Proxy;
use crate::replica::snapshot::Sending;

pub(crate) struct State {
    pub(crate) core: Acceptor,
    pub(crate) machine: Machine,
    /// What a replica has as pilot of a role; absent if it is not.
    pub(crate) pilots: Both<Option<Pilot>>,
    /// What was executed and cannot be forgotten.
    pub(crate) kept: Both<Index>,
    pub(crate) proxy: Proxy,
    /// When the entries that are not executed were decided.
    pub(crate) decided: Both<BTreeMap<Index, Instant>>,
    /// Entries that this replica recovers, and the view in which it has a reason to.
    pub(crate) recovering: BTreeMap<(Role, Index), View>,
    pub(crate) peers: BTreeMap<ReplicaId, Peer>,
    /// Snapshots on their way.
    pub(crate) snapshots: BTreeMap<ReplicaId, Sending>,
    /// Whether this replica is asking for a role.
    pub(crate) seeking: bool,
    /// When each role's pilot was last heard.
    pub(crate) contact: Both<Instant>,
}

/// What only a pilot has.
pub(crate) struct Pilot {
    /// Commands that wait to be proposed.
    pub(crate) queue: BatchBuilder,
    /// Whether the other pilot has proposed since this one did.
    pub(crate) ball: bool,
    /// From when on it may propose without the ball, at the earliest.
    pub(crate) patience: Instant,
    /// When the first of the waiting commands came.
    pub(crate) queued: Instant,
    /// Its last proposal, or the end of earlier views.
    pub(crate) last: Index,
}

/// What a peer last said of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) executed: Both<Index>,
    pub(crate) committed: Both<Index>,
}
