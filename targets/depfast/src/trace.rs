//! Every wait, counted.
//!
//! A wait has a static label and says on whom it depends. A wait on one peer is where a slow node can spread its
//! slowness; a wait on a quorum is where it cannot.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use crate::id::NodeId;

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

/// The waits of one node.
#[derive(Debug, Default)]
pub struct Trace {
    counts: RefCell<BTreeMap<(&'static str, WaitsOn), u64>>,
}

impl Trace {
    pub(crate) fn record(&self, label: &'static str, on: WaitsOn) {
        *self.counts.borrow_mut().entry((label, on)).or_default() += 1;
    }

    /// All waits so far, by label.
    pub fn counts(&self) -> Vec<WaitCount> {
        let counts = self.counts.borrow();
        counts
            .iter()
            .map(|(&(label, on), &count)| WaitCount { label, on, count })
            .collect()
    }
}
