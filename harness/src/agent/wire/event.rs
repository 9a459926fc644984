use std::fmt;

use results::NodeSample;
use serde::{Deserialize, Serialize};
use vocab::ids::{FaultName, NodeName};
use vocab::time::{Monotonic, TrialTime, Wall};

use super::ProcessId;

/// What an agent tells unasked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The payload is the next piece of a process's standard output; an empty one ends it.
    Output {
        /// The process.
        process: ProcessId,
    },
    /// A process has ended.
    Exited {
        /// The process.
        process: ProcessId,
        /// As it was started.
        name: String,
        /// When and how.
        exit: Exit,
    },
    /// What the node, or one kind of process on it, has used.
    Sample(Sample),
    /// The agent cleared a fault whose time was over.
    FaultCleared {
        /// The fault.
        fault: FaultName,
        /// The node that was slow.
        victim: NodeName,
        /// When it was out of force.
        at: Monotonic,
        /// Why it could not be undone; the guardian tries again.
        problem: Option<String>,
    },
    /// Something a person should know.
    Warning(String),
    /// The agent ends without having been told to; the reason.
    Leaving(String),
}

/// When and how a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// When the agent saw it.
    pub at: Monotonic,
    /// The same by the wall clock.
    pub wall: Wall,
    /// How.
    pub cause: ExitCause,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitCause {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// The kernel killed it because its group's memory was used up.
    OutOfMemory,
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitCause::Code(code) => write!(f, "exit code {code}"),
            ExitCause::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "{name}"),
                Err(_) => write!(f, "signal {signal}"),
            },
            ExitCause::OutOfMemory => f.write_str("killed by the kernel: out of memory"),
        }
    }
}

/// Usage of a node, or of one kind of process on it, at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, by the node's clock.
    pub at: Monotonic,
    /// What; its time within the trial is not yet known on the node.
    pub usage: NodeSample,
}

impl Sample {
    /// The sample with its time within a trial whose load started at `zero` of the same clock.
    pub fn within_trial(mut self, zero: Monotonic) -> NodeSample {
        self.usage.at = TrialTime::from_nanos(self.at.nanos() as i64 - zero.nanos() as i64);
        self.usage
    }
}
