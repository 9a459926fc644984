use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use vocab::units::Span;

use super::{ClusterSpec, DiskSpec, HostKeys, LocalSpec, SshLogin, SshSpec};

/// Where nodes come from, as a person may write it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Written {
    /// Nodes made out of this machine.
    Local(LocalSpec),
    /// Machines that are reached over SSH.
    Ssh(SshSpec),
    /// The same, with the machines of an Ansible inventory in YAML: the hosts of its groups `servers` and `clients`.
    #[expect(dead_code, reason = "the loader has put its machines in before")]
    Inventory(Inventory),
}

/// An inventory; its path starts at the experiment file's folder.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is of use")]
pub(super) enum Inventory {
    /// Its path.
    File(PathBuf),
    /// With what else an `ssh` cluster can say.
    With(Box<Settings>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is of use")]
pub(super) struct Settings {
    /// Its path.
    file: PathBuf,
    /// How to log in where the inventory does not say it.
    login: Option<SshLogin>,
    /// Whether hosts may be unknown.
    host_keys: Option<HostKeys>,
    /// A configuration file for `ssh` instead of the user's own.
    config: Option<PathBuf>,
    /// Which disk servers write to.
    disk: Option<DiskSpec>,
    /// Builds of depbench for nodes of another architecture than this machine's.
    programs: Option<BTreeMap<String, PathBuf>>,
    /// How long a run waits for a node that was lost to be back for the next trial; then it stops, and can be resumed.
    rejoin_within: Option<Span>,
    /// How long a node keeps its faults and servers without hearing from the controller.
    lease: Option<Span>,
}

impl TryFrom<Written> for ClusterSpec {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<ClusterSpec, Self::Error> {
        match written {
            Written::Local(spec) => Ok(ClusterSpec::Local(spec)),
            Written::Ssh(spec) => Ok(ClusterSpec::Ssh(spec)),
            Written::Inventory(_) => Err("an inventory cannot be swept, expected one path"),
        }
    }
}
