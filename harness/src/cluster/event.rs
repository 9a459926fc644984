use vocab::ids::{FaultName, NodeName};
use vocab::time::Monotonic;

use crate::agent::wire::{Exit, ProcessId, Sample};

/// Something happened on a node.
#[derive(Debug, Clone)]
pub struct ClusterEvent {
    /// Where.
    pub node: NodeName,
    /// What.
    pub event: NodeEvent,
}

/// What can happen on a node.
#[derive(Debug, Clone)]
pub enum NodeEvent {
    /// A process has ended.
    Exited {
        /// The process.
        process: ProcessId,
        /// As it was started.
        name: String,
        /// When and how.
        exit: Exit,
    },
    /// The node's usage, once per interval.
    Sample(Sample),
    /// The agent cleared a fault itself, because its time was over.
    FaultCleared {
        /// The fault.
        fault: FaultName,
        /// The node that was slow.
        victim: NodeName,
        /// When, by the node's clock.
        at: Monotonic,
        /// Why it could not be undone.
        problem: Option<String>,
    },
    /// Something a person should know.
    Warning(String),
    /// The agent ended or fell silent: what ran on the node is gone, what it changed is being undone, and whatever was
    /// measured meanwhile is invalid.
    AgentLost {
        /// As far as it is known.
        reason: String,
    },
}
