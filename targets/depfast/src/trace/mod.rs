//! Every wait, counted and timed.
//!
//! A wait has a static label and says on whom it depends. A wait on one peer is where a slow node can spread its
//! slowness; a wait on a quorum is where it cannot. [`Trace::graph`] shows both between the nodes of a system.

mod export;
mod members;
mod open;
mod stats;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use crate::env::Backend;
use crate::id::NodeId;
use crate::time::Instant;

use members::Members;
use open::OpenWaits;
pub use stats::{Histogram, WaitStats};

/// On whom a wait depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitsOn {
    /// Another coroutine of the same node.
    Local,
    /// The node's own disk.
    Disk,
    /// The clock.
    Time,
    /// One peer alone.
    Peer(NodeId),
    /// Any `needed` of `total` members.
    Quorum {
        /// How many have to agree.
        needed: usize,
        /// How many are asked.
        total: usize,
    },
}

impl fmt::Display for WaitsOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Disk => f.write_str("disk"),
            Self::Time => f.write_str("time"),
            Self::Peer(node) => write!(f, "peer {node}"),
            Self::Quorum { needed, total } => write!(f, "quorum {needed}/{total}"),
        }
    }
}

/// On whom a wait depends, by name as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// On whom it depends.
    pub on: WaitsOn,
    /// The peer, or those members of the quorum that were asked or have answered.
    pub members: Vec<NodeId>,
}

impl Dependency {
    pub(crate) const fn new(on: WaitsOn, members: Vec<NodeId>) -> Self {
        Self { on, members }
    }
}

/// How often a labelled wait really suspended its coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitCount {
    /// The label in the protocol's code.
    pub label: &'static str,
    /// On whom it waited.
    pub on: WaitsOn,
    /// How many times.
    pub count: u64,
}

/// A coroutine that is suspended now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenWait {
    /// The label in the protocol's code.
    pub label: &'static str,
    /// On whom it waits.
    pub on: WaitsOn,
    /// Since when.
    pub since: Instant,
    /// Tells this wait from all others of the node.
    pub serial: u64,
}

/// Whether waits are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recording {
    /// All are.
    On,
    /// None is: for measuring what recording costs.
    Off,
}

/// The waits of one node.
pub struct Trace {
    clock: Rc<dyn Backend>,
    recording: Cell<Recording>,
    node: Cell<Option<NodeId>>,
    group: RefCell<String>,
    peers: RefCell<BTreeSet<NodeId>>,
    /// Where the statistics of a label are. Labels are compared by address, which is quicker; equal ones at different
    /// addresses are put together when they are looked at.
    index: RefCell<BTreeMap<(usize, usize, WaitsOn), usize>>,
    stats: RefCell<Vec<WaitStats>>,
    /// Who was seen to be asked or to answer in the quorums behind each of the statistics.
    members: RefCell<Vec<Members>>,
    open: RefCell<OpenWaits>,
}

/// A wait that is under way. It ends when this is dropped.
pub(crate) struct Waiting {
    trace: Rc<Trace>,
    slot: Option<usize>,
}

impl Trace {
    pub(crate) fn new(clock: Rc<dyn Backend>) -> Self {
        Self {
            clock,
            recording: Cell::new(Recording::On),
            node: Cell::new(None),
            group: RefCell::default(),
            peers: RefCell::default(),
            index: RefCell::default(),
            stats: RefCell::default(),
            members: RefCell::default(),
            open: RefCell::default(),
        }
    }

    /// Turns recording on or off. It is on from the start.
    pub fn set_recording(&self, recording: Recording) {
        self.recording.set(recording);
    }

    /// The node's name, once it has joined a group.
    pub fn node(&self) -> Option<NodeId> {
        self.node.get()
    }

    /// Notes who the node is and whom it can call.
    pub(crate) fn set_members(&self, node: NodeId, peers: BTreeSet<NodeId>) {
        self.node.set(Some(node));
        *self.peers.borrow_mut() = peers;
    }

    /// Begins a wait.
    pub(crate) fn begin(self: &Rc<Self>, label: &'static str, on: WaitsOn) -> Waiting {
        let slot = (self.recording.get() == Recording::On).then(|| {
            let stats = self.stats_of(label, on);
            self.stats.borrow_mut()[stats].count += 1;
            self.open.borrow_mut().insert(stats, self.clock.now())
        });
        Waiting {
            trace: Rc::clone(self),
            slot,
        }
    }

    /// Begins a wait that depends on several things.
    pub(crate) fn begin_all(
        self: &Rc<Self>,
        label: &'static str,
        dependencies: &[Dependency],
    ) -> Vec<Waiting> {
        let begin = |dependency: &Dependency| {
            let waiting = self.begin(label, dependency.on);
            waiting.met(dependency.members.iter().copied());
            waiting
        };
        dependencies.iter().map(begin).collect()
    }

    fn stats_of(&self, label: &'static str, on: WaitsOn) -> usize {
        let key = (label.as_ptr().addr(), label.len(), on);
        *self.index.borrow_mut().entry(key).or_insert_with(|| {
            let mut stats = self.stats.borrow_mut();
            stats.push(WaitStats::new(label, on));
            self.members.borrow_mut().push(Members::default());
            stats.len() - 1
        })
    }

    fn end(&self, slot: usize) {
        let Some(open) = self.open.borrow_mut().remove(slot) else {
            return;
        };
        let took = self.clock.now().since(open.since);
        self.stats.borrow_mut()[open.stats].end(took);
    }

    /// All waits so far, by label.
    pub fn counts(&self) -> Vec<WaitCount> {
        self.waits()
            .iter()
            .map(|wait| WaitCount {
                label: wait.label,
                on: wait.on,
                count: wait.count,
            })
            .collect()
    }

    /// All waits so far with the time that they took, by label.
    pub fn waits(&self) -> Vec<WaitStats> {
        let mut merged = BTreeMap::<_, WaitStats>::new();
        for stats in &*self.stats.borrow() {
            merged
                .entry((stats.label, stats.on))
                .and_modify(|sum| sum.add(stats))
                .or_insert(*stats);
        }
        merged.into_values().collect()
    }

    /// The coroutines that are suspended now, longest first.
    pub fn open_waits(&self) -> Vec<OpenWait> {
        let stats = self.stats.borrow();
        let mut open: Vec<_> = (self.open.borrow().iter())
            .map(|open| OpenWait {
                label: stats[open.stats].label,
                on: stats[open.stats].on,
                since: open.since,
                serial: open.serial,
            })
            .collect();
        open.sort_by_key(|open| open.serial);
        open
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.waits()).finish()
    }
}

impl Waiting {
    /// Notes who belongs to the quorum that is waited for.
    pub(crate) fn met(&self, members: impl Iterator<Item = NodeId>) {
        let open = self
            .slot
            .and_then(|slot| self.trace.open.borrow().get(slot));
        if let Some(open) = open {
            self.trace.members.borrow_mut()[open.stats].add(members);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.trace.end(slot);
        }
    }
}
