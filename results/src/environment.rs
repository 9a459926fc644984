use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vocab::ids::{ExperimentName, NodeName, RunName};
use vocab::time::Wall;

/// Where and with what a run was made: what `environment.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The run.
    pub run: RunName,
    /// The experiment it carries out.
    pub experiment: ExperimentName,
    /// When it began.
    #[serde(with = "crate::wall_text")]
    pub began: Wall,
    /// The seed that everything random is derived from.
    pub seed: u64,
    /// The command as it was typed.
    pub command: Vec<String>,
    /// The program that ran.
    pub program: Program,
    /// How the cluster was made: `local (network namespaces, as root)`, `ssh`.
    pub provider: String,
    /// What could not be done here and bends the numbers, in words, for every figure: `no CPU budgets: …`.
    pub limitations: Vec<String>,
    /// The machines, the controller's first; the nodes of a local cluster have no other.
    pub machines: Vec<Machine>,
    /// The nodes of the cluster.
    pub nodes: Vec<NodeEnvironment>,
    /// The versions of targets and of tools that were used, by name.
    pub versions: BTreeMap<String, String>,
}

/// The program that made a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its version.
    pub version: String,
    /// Hash of the executable, with the name of the hash before it: `sha256:…`.
    pub hash: String,
}

/// A machine as its kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its host name.
    pub host: String,
    /// `Linux 6.1.0 x86_64`.
    pub kernel: String,
    /// The distribution, by its own account.
    pub system: String,
    /// The processor's model.
    pub processor: String,
    /// Processors that may be used.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// `v2`, `v1` or `none`.
    pub cgroups: String,
}

/// A node of the cluster and what it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEnvironment {
    /// The node.
    pub node: NodeName,
    /// What it is there for: `server`, `client`, `hub`.
    pub purpose: String,
    /// The host name of the machine it is on.
    pub host: String,
    /// Its address in the cluster's network.
    pub address: String,
    /// The CPU budget it got, in words; `None` without one.
    pub budget: Option<String>,
    /// The processors it is pinned to; empty when it is not.
    pub pinned_to: Vec<u32>,
    /// What its data lies on, in words.
    pub disk: String,
    /// How its clock was put in the controller's, when it is another machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<NodeClock>,
}

/// How far the monotonic clock of a node's machine is from the controller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeClock {
    /// What was added to every time that the node told, in nanoseconds.
    pub offset_ns: i64,
    /// The most that such a time can be wrong, in nanoseconds.
    pub error_ns: u64,
}
