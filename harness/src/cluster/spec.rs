//! The `cluster:` part of the experiment file.

mod cpus;
mod inventory;
mod local;
mod ssh;

pub use cpus::{Cpus, CpusError};
pub use local::{BudgetSpec, DiskSpec, LocalSpec, ModeSpec, PinSpec};
pub use ssh::{
    Become, FileSystem, HostKeys, Mkfs, Preparation, SshLogin, SshNode, SshRole, SshSpec,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};

/// Where nodes come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", try_from = "inventory::Written")]
pub enum ClusterSpec {
    /// Nodes made out of this machine.
    Local(LocalSpec),
    /// Machines that are reached over SSH.
    Ssh(SshSpec),
}

impl ClusterSpec {
    /// How many nodes run servers.
    pub fn servers(&self) -> usize {
        match self {
            ClusterSpec::Local(local) => usize::from(local.servers.get()),
            ClusterSpec::Ssh(ssh) => ssh.count(SshRole::Server),
        }
    }

    /// Where the file says how many nodes run servers.
    pub fn servers_at(&self) -> FieldPath {
        let at = FieldPath::root().key("cluster");
        match self {
            ClusterSpec::Local(_) => at.key("local").key("servers"),
            ClusterSpec::Ssh(_) => at.key("ssh"),
        }
    }

    /// The names of the nodes that run servers, in the order in which members are put on them.
    pub fn server_names(&self) -> Vec<String> {
        match self {
            ClusterSpec::Local(local) => numbered("s", local.servers.get()),
            ClusterSpec::Ssh(ssh) => ssh.names(SshRole::Server),
        }
    }

    /// The names of the nodes that drive load.
    pub fn client_names(&self) -> Vec<String> {
        match self {
            ClusterSpec::Local(local) => numbered("c", local.clients.get()),
            ClusterSpec::Ssh(ssh) => ssh.names(SshRole::Client),
        }
    }

    /// How many nodes drive load.
    pub fn clients(&self) -> usize {
        match self {
            ClusterSpec::Local(local) => usize::from(local.clients.get()),
            ClusterSpec::Ssh(ssh) => ssh.count(SshRole::Client),
        }
    }
}

fn numbered(letter: &str, count: u8) -> Vec<String> {
    (1..=count)
        .map(|number| format!("{letter}{number}"))
        .collect()
}

impl Validate for ClusterSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        match self {
            ClusterSpec::Local(local) => local.validate(&at.key("local"), problems),
            ClusterSpec::Ssh(ssh) => ssh.validate(&at.key("ssh"), problems),
        }
    }
}
