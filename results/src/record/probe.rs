use serde::{Deserialize, Serialize};
use vocab::ids::{FaultName, NodeName};
use vocab::time::TrialTime;

use crate::closed_set::closed_set;

closed_set! {
    /// When a probe was read, relative to its fault.
    pub enum ProbeMoment {
        /// Before the fault.
        Before = "before",
        /// While the fault is in.
        During = "during",
        /// After the fault was cleared.
        After = "after",
    }
}

/// What a fault's probe measured: the evidence that the fault bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeReading {
    /// When, since load started.
    pub at: TrialTime,
    /// The fault it watches.
    pub fault: FaultName,
    /// The node it was read on.
    pub node: NodeName,
    /// Before, during or after the fault.
    pub moment: ProbeMoment,
    /// What is measured: `cpu_share`, `round_trip`.
    pub probe: String,
    /// The reading.
    pub value: f64,
    /// Its unit: `%`, `ms`.
    pub unit: String,
}
