mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::NodeName;
use vocab::units::Span;

use super::DiskSpec;
use crate::agent::DEFAULT_LEASE;

/// Machines that are reached with the user's own `ssh`: its configuration, keys, agent, known hosts and jump hosts apply.
///
/// What `login` says for all nodes, the `login` of a node can say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshSpec {
    /// The machines.
    pub nodes: Vec<SshNode>,
    /// How to log in, unless a node says otherwise.
    #[serde(default)]
    pub login: SshLogin,
    /// Whether hosts may be unknown.
    #[serde(default)]
    pub host_keys: HostKeys,
    /// A configuration file for `ssh` instead of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// Which disk servers write to.
    #[serde(default = "shared")]
    pub disk: DiskSpec,
    /// Builds of depbench on this machine for nodes of another architecture than its own, by what `uname -m` says there:
    /// `{aarch64: ./depbench-aarch64}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<String, PathBuf>,
    /// How long a run waits for a node that was lost, from the end of its trial on, to be back for the next one; then it
    /// stops, and can be resumed.
    #[serde(default = "five_minutes")]
    pub rejoin_within: Span,
    /// How long a node keeps its faults and servers without hearing from the controller. A shorter stall is survived; after
    /// a longer one the node undoes everything and is lost for this trial.
    #[serde(default = "default_lease")]
    pub lease: Span,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshNode {
    /// What it is called in the experiment and in the results.
    pub name: NodeName,
    /// Host name, address or alias of the ssh configuration; the node's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What it is there for. A machine with both roles has the load compete with the server that is measured.
    pub roles: BTreeSet<SshRole>,
    /// The address at which the other nodes reach it; the one that the controller connected to when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_address: Option<IpAddr>,
    /// The network interface to the other nodes, as `eth1`; the one with the address above when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The block device below the servers' data, as `/dev/vdb`; the one below their directory when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<PathBuf>,
    /// What is done to this machine for a run.
    #[serde(default, skip_serializing_if = "Preparation::is_empty")]
    pub prepare: Preparation,
    /// How to log in to this one.
    #[serde(default)]
    pub login: SshLogin,
}

/// What is done to a machine for a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Makes a file system for the server's data, mounted during the run. Whatever is on the device is lost: never done
    /// unless `--yes-format NODE:DEVICE` names it, nor while it is in use or holds anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mkfs: Option<Mkfs>,
}

/// A file system to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mkfs {
    /// The block device, as `/dev/vdb`.
    pub device: PathBuf,
    /// Its kind.
    #[serde(default)]
    pub r#type: FileSystem,
}

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// With `mkfs.ext4`.
    #[default]
    Ext4,
}

/// What a machine is there for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SshRole {
    /// Runs a member of the target.
    Server,
    /// Drives load.
    Client,
}

/// How to log in, and what to be there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshLogin {
    /// The account; as the ssh configuration says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The port; as the ssh configuration says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// The file with the private key; as the ssh configuration says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
    /// How to become root, which faults need; `sudo` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#become: Option<Become>,
    /// The depbench program that is installed there. When absent, this program is uploaded to the account's cache
    /// directory, once per build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// Where runs keep data, logs and the undo journal: `/var/lib/depbench` for root, else below the home directory,
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
}

/// How to become root on a machine; never with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Become {
    /// With `sudo -n`, unless the account is root.
    #[default]
    Sudo,
    /// With `doas -n`, unless the account is root.
    Doas,
    /// Not at all: faults that need root are then not possible.
    None,
}

/// Whether hosts may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeys {
    /// Every host's key must be in the known hosts.
    #[default]
    Strict,
    /// A new host's key is added; a changed one is refused.
    AcceptNew,
}

impl SshSpec {
    /// How many machines have a role.
    pub(in crate::cluster::spec) fn count(&self, role: SshRole) -> usize {
        let has = |node: &&SshNode| node.roles.contains(&role);
        self.nodes.iter().filter(has).count()
    }
}

impl SshSpec {
    /// The names of the nodes of a role: `s2` before `s10`. A machine with both roles has another name as a client.
    pub(super) fn names(&self, role: SshRole) -> Vec<String> {
        let of_role = self.nodes.iter().filter(|node| node.roles.contains(&role));
        let mut names: Vec<String> = of_role
            .map(|node| match (role, node.roles.len()) {
                (SshRole::Client, 2) => format!("{}-load", node.name),
                _ => node.name.to_string(),
            })
            .collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    }
}

impl Preparation {
    fn is_empty(&self) -> bool {
        *self == Preparation::default()
    }
}

impl SshNode {
    /// The device that is formatted for it.
    pub fn formatted(&self) -> Option<&Path> {
        self.prepare.mkfs.as_ref().map(|mkfs| mkfs.device.as_path())
    }

    /// What `ssh` is told to connect to.
    pub fn destination(&self) -> &str {
        self.host.as_deref().unwrap_or(self.name.as_str())
    }
}

impl SshLogin {
    /// What is not said here is taken from `general`.
    pub fn or(&self, general: &SshLogin) -> SshLogin {
        SshLogin {
            user: self.user.clone().or_else(|| general.user.clone()),
            port: self.port.or(general.port),
            identity: self.identity.clone().or_else(|| general.identity.clone()),
            r#become: self.r#become.or(general.r#become),
            program: self.program.clone().or_else(|| general.program.clone()),
            state_dir: self.state_dir.clone().or_else(|| general.state_dir.clone()),
        }
    }
}

/// Enough for a machine that starts again.
fn five_minutes() -> Span {
    Span::seconds(300)
}

fn default_lease() -> Span {
    DEFAULT_LEASE
}

fn shared() -> DiskSpec {
    DiskSpec::Shared
}
