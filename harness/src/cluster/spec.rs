//! The `cluster:` part of the experiment file.

mod cpus;
mod local;

pub use cpus::{Cpus, CpusError};
pub use local::{BudgetSpec, DiskSpec, LocalSpec, ModeSpec, PinSpec};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};

/// Where nodes come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ClusterSpec {
    /// Nodes made out of this machine.
    Local(LocalSpec),
}

impl ClusterSpec {
    /// How many nodes run servers.
    pub fn servers(&self) -> usize {
        match self {
            ClusterSpec::Local(local) => usize::from(local.servers.get()),
        }
    }

    /// How many nodes drive load.
    pub fn clients(&self) -> usize {
        match self {
            ClusterSpec::Local(local) => usize::from(local.clients.get()),
        }
    }
}

impl Validate for ClusterSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        match self {
            ClusterSpec::Local(local) => local.validate(&at.key("local"), problems),
        }
    }
}
