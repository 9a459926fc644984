use serde::{Deserialize, Serialize};
use vocab::ids::NodeName;
use vocab::time::TrialTime;

use crate::closed_set::closed_set;

closed_set! {
    /// What a sample adds up.
    pub enum SampleScope {
        /// Everything on the node.
        Node = "node",
        /// The target's server process.
        Server = "server",
        /// The load generator.
        Client = "client",
        /// The contention programs of faults.
        Contention = "contention",
    }
}

/// What a node, or one kind of process on it, has used since it was started: cumulative counters, and the memory
/// in use. A counter that the node cannot give is absent, never zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSample {
    /// When, since load started.
    pub at: TrialTime,
    /// The node.
    pub node: NodeName,
    /// What is added up.
    pub scope: SampleScope,
    /// CPU time used, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Time for which the CPU quota held it back, in nanoseconds.
    pub throttled_ns: Option<u64>,
    /// Quota periods that passed while it was runnable.
    pub periods: Option<u64>,
    /// Quota periods in which it was held back.
    pub throttled_periods: Option<u64>,
    /// Memory in use now, in bytes.
    pub memory_bytes: Option<u64>,
    /// Page faults that had to read from disk.
    pub major_faults: Option<u64>,
    /// Bytes read from disk.
    pub disk_read_bytes: Option<u64>,
    /// Bytes written to disk.
    pub disk_write_bytes: Option<u64>,
    /// Bytes received from the network.
    pub net_rx_bytes: Option<u64>,
    /// Bytes sent to the network.
    pub net_tx_bytes: Option<u64>,
    /// Time in which some task waited for a CPU, in microseconds.
    pub pressure_cpu_us: Option<u64>,
    /// Time in which some task waited for a disk, in microseconds.
    pub pressure_io_us: Option<u64>,
    /// Time in which some task waited for memory, in microseconds.
    pub pressure_memory_us: Option<u64>,
}

impl NodeSample {
    /// A sample that knows nothing yet.
    pub fn new(at: TrialTime, node: NodeName, scope: SampleScope) -> NodeSample {
        NodeSample {
            at,
            node,
            scope,
            cpu_ns: None,
            throttled_ns: None,
            periods: None,
            throttled_periods: None,
            memory_bytes: None,
            major_faults: None,
            disk_read_bytes: None,
            disk_write_bytes: None,
            net_rx_bytes: None,
            net_tx_bytes: None,
            pressure_cpu_us: None,
            pressure_io_us: None,
            pressure_memory_us: None,
        }
    }
}
