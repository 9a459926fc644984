use std::time::Duration;

use node::links::LinkName;
use serde::{Deserialize, Serialize};

use crate::helpers::Priority;
use crate::impairment::Impairment;

/// What a delay line is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineJob {
    /// What it does to packets.
    pub impairment: Impairment,
    /// Where they come from.
    pub medium: Medium,
    /// How many packets may wait.
    pub length: u32,
    /// Where random draws start.
    pub seed: u64,
}

/// Where packets come from and go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// A packet queue of the kernel, in whose path they go on.
    Queue,
    /// A link of its own, to which they are redirected.
    Tap {
        /// The link to be made.
        name: LinkName,
        /// The link they leave through in the end.
        out: LinkName,
    },
}

/// What a delay line answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineState {
    /// The kernel queue it holds, if it is one: packets sent there come to it.
    pub queue: Option<u16>,
    /// How soon it runs.
    pub priority: Priority,
    /// What it has done so far.
    pub counts: Counts,
    /// How much later than due packets left, on average.
    pub mean_lateness: Duration,
    /// How much later than due the latest left.
    pub worst_lateness: Duration,
}

/// What became of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// That came in.
    pub packets: u64,
    /// That the impairment did something to: lost, held back, duplicated, damaged, made to wait for their turn.
    pub hit: u64,
    /// For which there was no room.
    pub overflowed: u64,
    /// Bytes of those that were let go or wait.
    pub bytes: u64,
}
