use serde::Deserialize;

/// The slowness propagation graph of a trial, as far as it is drawn: who has waited for whom.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WaitGraph {
    /// All that is known.
    pub nodes: Vec<WaitNode>,
    /// At most one for each origin, end and quorum.
    pub edges: Vec<WaitEdge>,
}

/// Who waits, or is waited for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct WaitNode {
    /// The group it belongs to; empty if groups have no names.
    pub group: String,
    /// Its name, unique within its group.
    pub name: String,
}

/// Waits of one node that another takes part in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WaitEdge {
    /// The group of both.
    pub group: String,
    /// Who waits.
    pub from: String,
    /// For whom.
    pub to: String,
    /// How many have to answer.
    pub needed: usize,
    /// Out of how many.
    pub total: usize,
    /// The waits by their labels.
    pub waits: Vec<WaitCount>,
}

/// The waits at one point of the code.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WaitCount {
    /// The label in the protocol's code.
    pub label: String,
    /// How often.
    pub count: u64,
}

impl WaitEdge {
    /// Whether slowness can spread along it: the origin cannot go on without the end.
    pub fn spreads(&self) -> bool {
        self.needed >= self.total
    }

    /// How many waits it stands for.
    pub fn count(&self) -> u64 {
        self.waits.iter().map(|wait| wait.count).sum()
    }
}
