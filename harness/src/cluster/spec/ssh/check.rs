//! What the types alone do not say of machines.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;

use super::{SshLogin, SshNode, SshRole, SshSpec};

/// ssh looks for a sign of life three times within a lease, in whole seconds.
const SHORTEST_LEASE: Span = Span::seconds(3);

/// For so long at most a machine may go on with a fault that nobody looks after.
const LONGEST_LEASE: Span = Span::seconds(300);

impl Validate for SshSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        for (role, word) in [(SshRole::Server, "server"), (SshRole::Client, "client")] {
            if self.count(role) == 0 {
                let help = format!("give a node `roles: [{word}]`");
                problems.add_with_help(at.key("nodes"), format!("no node is a {word}"), help);
            }
        }
        self.login.validate(&at.key("login"), problems);
        if !(SHORTEST_LEASE..=LONGEST_LEASE).contains(&self.lease) {
            let expected = format!("expected {SHORTEST_LEASE} to {LONGEST_LEASE}");
            problems.add(at.key("lease"), expected);
        }
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
            if !is_host(node.destination()) {
                problems.add_with_help(
                    at.key("host"),
                    "expected a host name or an address",
                    "an account and a port go into `login: {user: …, port: …}`",
                );
            }
            node.login.validate(&at.key("login"), problems);
            node.means(&at, problems);
        }
    }
}

/// Whether `ssh` takes it for a host: a word, neither an option nor a URL, in which another option may hide.
fn is_host(word: &str) -> bool {
    let (_, host) = word.rsplit_once('@').unwrap_or(("", word));
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    !host.is_empty()
        && ![word, host].iter().any(|part| part.starts_with('-'))
        && !word.contains(is_odd)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::spec::{Become, HostKeys};

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
            ("name: b, host: 'ssh://x@-oProxyCommand=id'", "host"),
            ("name: b, host: 'ssh://10.0.0.1:2222'", "host"),
            ("name: b, host: 'x@-oProxyCommand=id'", "host"),
            ("name: b, host: 'x@'", "host"),
            ("name: b, host: 'a b'", "host"),
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
    fn hosts_are_words_of_many_kinds() {
        for host in [
            "10.0.0.1",
            "fe80::1%eth0",
            "n1.example.org",
            "bench@n1",
            "my_alias",
        ] {
            assert!(is_host(host), "{host}");
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
    fn a_lease_is_neither_too_short_nor_too_long() {
        for (lease, is_fine) in [
            ("2999ms", false),
            ("3s", true),
            ("5m", true),
            ("301s", false),
        ] {
            let found = problems(&SIX.replacen('{', &format!("{{lease: {lease}, "), 1));
            let refused = ["lease expected 3s to 5m".to_owned()];
            assert_eq!(
                found,
                if is_fine { &[][..] } else { &refused[..] },
                "{lease}"
            );
        }
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
