use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::{Component, Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::NodeName;
use vocab::problem::{FieldPath, Problems, Validate};

use super::DiskSpec;

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
    /// unless `--yes-format DEVICE` names the device, nor while it is in use or holds anything else.
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
    pub(super) fn count(&self, role: SshRole) -> usize {
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

impl Validate for SshSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        for (role, word) in [(SshRole::Server, "server"), (SshRole::Client, "client")] {
            if self.count(role) == 0 {
                let help = format!("give a node `roles: [{word}]`");
                problems.add_with_help(at.key("nodes"), format!("no node is a {word}"), help);
            }
        }
        self.login.validate(&at.key("login"), problems);
        let mut names = BTreeSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let at = at.key("nodes").index(index);
            if !names.insert(&node.name) {
                problems.add(at.key("name"), format!("{} is there twice", node.name));
            }
            if node.roles.is_empty() {
                problems.add(
                    at.key("roles"),
                    "a node without a role, expected `server`, `client` or both",
                );
            }
            // `ssh` would take it for an option.
            if node.destination().is_empty() || node.destination().starts_with('-') {
                problems.add(at.key("host"), "expected a host name or an address");
            }
            node.login.validate(&at.key("login"), problems);
            node.means(&at, problems);
        }
    }
}

impl SshNode {
    /// Checks what is named of the machine.
    fn means(&self, at: &FieldPath, problems: &mut Problems) {
        let is_link = |name: &String| {
            (1..16).contains(&name.len())
                && !name.starts_with(['-', '.'])
                && name.chars().all(|c| c.is_ascii_graphic() && c != '/')
        };
        if self.interface.as_ref().is_some_and(|name| !is_link(name)) {
            let expected = "expected the name of a network interface, as `eth1`";
            problems.add(at.key("interface"), expected);
        }
        let mkfs = at.key("prepare").key("mkfs");
        let devices = [
            (at.key("device"), self.device.as_deref()),
            (mkfs.key("device"), self.formatted()),
        ];
        for (at, device) in devices {
            let is_device = |device: &Path| {
                device.starts_with("/dev")
                    && device.components().all(|part| part != Component::ParentDir)
            };
            if device.is_some_and(|device| !is_device(device)) {
                problems.add(at, "expected a block device, as `/dev/vdb`");
            }
        }
        if self.formatted().is_some() && !self.roles.contains(&SshRole::Server) {
            problems.add(mkfs, "only servers have data, expected the role `server`");
        }
    }
}

impl Validate for SshLogin {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        let absolute = [("program", &self.program), ("state_dir", &self.state_dir)];
        for (key, path) in absolute {
            if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                problems.add(at.key(key), "expected an absolute path on the node");
            }
        }
        if self.user.as_ref().is_some_and(|user| {
            user.is_empty() || user.starts_with('-') || user.contains(['@', ' ', '\n'])
        }) {
            problems.add(at.key("user"), "expected the name of an account");
        }
    }
}

fn shared() -> DiskSpec {
    DiskSpec::Shared
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: &str = "{login: {user: ubuntu, become: doas}, nodes: [\
        {name: s1, host: 10.0.0.1, roles: [server]}, \
        {name: c1, roles: [client], login: {user: bench, port: 2222}, data_address: 192.168.0.9}]}";

    fn problems(text: &str) -> Vec<String> {
        let spec: SshSpec = serde_yaml::from_str(text).unwrap();
        let mut problems = Problems::default();
        spec.validate(&FieldPath::root(), &mut problems);
        let list = problems.into_vec().into_iter();
        list.map(|problem| format!("{} {}", problem.at, problem.message))
            .collect()
    }

    #[test]
    fn what_a_node_does_not_say_is_said_for_all() {
        let spec: SshSpec = serde_yaml::from_str(SIX).unwrap();
        assert!(problems(SIX).is_empty(), "{:?}", problems(SIX));
        assert_eq!(spec.nodes[1].destination(), "c1");
        let login = spec.nodes[1].login.or(&spec.login);
        assert_eq!(login.user.as_deref(), Some("bench"));
        assert_eq!(login.r#become, Some(Become::Doas));
        assert_eq!(spec.host_keys, HostKeys::Strict);
    }

    /// What is odd in a word that goes to other programs, and where it is refused.
    #[test]
    fn odd_words_are_refused() {
        for (field, refused) in [
            ("name: '$(id)'", ""),
            ("name: '-oProxyCommand=id'", ""),
            ("name: 'a b'", ""),
            ("name: \"a'b\"", ""),
            ("data_address: '$(id)'", ""),
            ("data_address: -1", ""),
            ("name: b, host: -oProxyCommand=id", "host"),
            ("name: b, host: ''", "host"),
            ("name: b, login: {user: -oProxyCommand=id}", "login.user"),
            ("name: b, login: {user: 'a b'}", "login.user"),
            ("name: b, login: {user: ''}", "login.user"),
            ("name: b, login: {program: '-x'}", "login.program"),
            ("name: b, login: {program: '$(id)'}", "login.program"),
            ("name: b, login: {state_dir: '-x'}", "login.state_dir"),
            ("name: b, interface: '-x'", "interface"),
            ("name: b, interface: 'eth0; id'", "interface"),
            ("name: b, interface: ../eth0", "interface"),
            ("name: b, interface: averyverylongname", "interface"),
            ("name: b, device: -x", "device"),
            ("name: b, device: /etc/shadow", "device"),
            ("name: b, device: /dev/../etc/shadow", "device"),
            (
                "name: b, prepare: {mkfs: {device: vdb}}",
                "prepare.mkfs.device",
            ),
            (
                "name: b, prepare: {mkfs: {device: /dev/vdb, type: '-x'}}",
                "",
            ),
        ] {
            let text =
                format!("{{nodes: [{{name: c, roles: [client]}}, {{{field}, roles: [server]}}]}}");
            let at = format!("nodes[1].{refused} ");
            match serde_yaml::from_str::<SshSpec>(&text) {
                Err(_) => assert_eq!(refused, "", "{field}"),
                Ok(_) => {
                    let found = problems(&text);
                    assert!(
                        found.len() == 1 && found[0].starts_with(&at),
                        "{field}: {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_a_server_has_a_disk_to_be_made() {
        let text = "{nodes: [{name: s, roles: [server]}, \
            {name: c, roles: [client], prepare: {mkfs: {device: /dev/vdb}}}]}";
        let found = problems(text).join("\n");
        assert!(found.contains("only servers have data"), "{found}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let text = "{nodes: [{name: a, roles: []}, {name: a, host: -oProxyCommand=x, roles: [client]}], login: {program: x}}";
        let found = problems(text).join("\n");
        for part in [
            "no node is a server",
            "is there twice",
            "without a role",
            "expected a host name",
            "absolute path",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        for text in [
            "{}",
            "{nodes: [{name: a}]}",
            "{nodes: [{name: a, roles: [leader]}]}",
            "{nodes: [{name: a, roles: [server], login: {port: 0}}]}",
        ] {
            assert!(serde_yaml::from_str::<SshSpec>(text).is_err(), "{text}");
        }
    }
}
