use vocab::ids::{FaultName, NodeName};
use vocab::time::{TrialTime, Wall};

use serde::{Deserialize, Serialize};

use crate::closed_set::closed_set;

closed_set! {
    /// What happened.
    pub enum EventKind {
        /// The trial began: its cluster is being built.
        TrialStarted = "trial-started",
        /// Load began; time zero of the trial.
        LoadStarted = "load-started",
        /// A phase began; the detail is its name.
        PhaseStarted = "phase-started",
        /// A window of a paired fault phase began; the detail is `fault-free` or `fault`, and the pair's number.
        WindowStarted = "window-started",
        /// Load ended.
        LoadEnded = "load-ended",
        /// A fault was ordered.
        FaultCommanded = "fault-commanded",
        /// A fault is in place.
        FaultEffective = "fault-effective",
        /// A fault is out again.
        FaultCleared = "fault-cleared",
        /// Another member leads; the node is the new leader.
        LeaderChanged = "leader-changed",
        /// The detectors of a member found that it, or what it depends on, is slow.
        Alert = "alert",
        /// A process of the target ended by itself.
        ProcessExited = "process-exited",
        /// The kernel killed a process for lack of memory.
        OomKill = "oom-kill",
        /// What the load generator noticed: a redirect to a new leader, a lost connection.
        ClientNotice = "client-notice",
        /// An agent no longer answers.
        AgentLost = "agent-lost",
        /// A node whose agent was lost in an earlier trial is up again; the detail says whether its machine has started
        /// again in between.
        NodeRebuilt = "node-rebuilt",
        /// Something that makes numbers worth a second look.
        Warning = "warning",
        /// The trial ended.
        TrialEnded = "trial-ended",
    }
}

/// Something that happened at a moment of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, since load started (negative before).
    pub at: TrialTime,
    /// When, by the wall clock: a label, never used to measure.
    pub wall: Wall,
    /// What.
    pub kind: EventKind,
    /// The node it happened on, if it has one.
    pub node: Option<NodeName>,
    /// The fault it is about, if it is about one.
    pub fault: Option<FaultName>,
    /// In words, on one line; control characters become spaces in files.
    pub detail: String,
}

impl Event {
    /// An event that concerns no node and no fault and says nothing more.
    pub fn new(at: TrialTime, wall: Wall, kind: EventKind) -> Event {
        Event {
            at,
            wall,
            kind,
            node: None,
            fault: None,
            detail: String::new(),
        }
    }

    /// The event on a node.
    #[must_use]
    pub fn on(mut self, node: NodeName) -> Event {
        self.node = Some(node);
        self
    }

    /// The event of a fault.
    #[must_use]
    pub fn of(mut self, fault: FaultName) -> Event {
        self.fault = Some(fault);
        self
    }

    /// The event with words to it.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Event {
        self.detail = detail.into();
        self
    }
}
