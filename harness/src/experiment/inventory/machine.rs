use std::collections::BTreeMap;

use vocab::problem::nearest;

use crate::experiment::Diagnostic;
use crate::experiment::document::{Entry, Key, Meaning, Node, Scalar, Style, Value};

/// Variables whose text is a field of the node as it stands; the one that Ansible prefers comes first.
const OF_NODE: [(&str, &[&str]); 4] = [
    ("host", &["ansible_host", "ansible_ssh_host"]),
    ("data_address", &["data_address"]),
    ("interface", &["data_interface"]),
    ("device", &["data_device"]),
];

/// The same for the node's `login`.
const OF_LOGIN: [(&str, &[&str]); 3] = [
    ("user", &["ansible_user", "ansible_ssh_user"]),
    ("port", &["ansible_port", "ansible_ssh_port"]),
    (
        "identity",
        &["ansible_ssh_private_key_file", "ansible_private_key_file"],
    ),
];

/// Arguments for ssh, of which one file of its configuration is understood.
const ARGUMENTS: [&str; 2] = ["ansible_ssh_common_args", "ansible_ssh_extra_args"];

const BECOME: &str = "ansible_become";
const BECOME_METHOD: &str = "ansible_become_method";
const BECOME_USER: &str = "ansible_become_user";
const CONNECTION: &str = "ansible_connection";

/// The playbook of this project installs the program when it has a source, and mounts a disk when there is one.
const PROGRAM: Installed = Installed {
    when: "depbench_program_source",
    at: "depbench_program_path",
    otherwise: "/usr/local/bin/depbench",
};
const DISK: Installed = Installed {
    when: "depbench_disk_device",
    at: "depbench_disk_mount",
    otherwise: "/srv/depbench",
};

/// Passwords are never used, and would end in the results.
const PASSWORDS: [&str; 5] = [
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_become_pass",
    "ansible_become_password",
];

/// Something that the playbook does on request.
struct Installed {
    when: &'static str,
    at: &'static str,
    otherwise: &'static str,
}

/// All variables that say something about how a machine is reached.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    let fields = OF_NODE.iter().chain(&OF_LOGIN);
    let fields = fields.flat_map(|(_, variables)| variables.iter().copied());
    let others = [BECOME, BECOME_METHOD, BECOME_USER, CONNECTION];
    fields.chain(ARGUMENTS).chain(others).chain(PASSWORDS)
}

/// All variables that become something of a node.
pub(super) fn read() -> impl Iterator<Item = &'static str> {
    known().chain([PROGRAM.when, PROGRAM.at, DISK.when, DISK.at])
}

/// A host with all its variables.
pub(super) struct Machine<'a> {
    pub(super) key: &'a Key,
    pub(super) variables: BTreeMap<&'a str, &'a Entry>,
}

impl Machine<'_> {
    pub(super) fn node(&self, roles: &[&str]) -> Node {
        let roles = roles.iter().map(|role| self.text(role)).collect();
        let roles = Node {
            place: self.key.place,
            value: Value::List(roles),
        };
        let login = [
            self.becoming(),
            self.installed("program", &PROGRAM),
            self.installed("state_dir", &DISK),
        ];
        let login = self.fields(&OF_LOGIN).chain(login.into_iter().flatten());
        let fields = [
            self.field("name", self.text(&self.key.text)),
            self.field("roles", roles),
            self.field("login", self.map(login.collect())),
        ];
        self.map(fields.into_iter().chain(self.fields(&OF_NODE)).collect())
    }

    /// The value of the first of these variables that is set, and to something.
    fn get(&self, names: &[&str]) -> Option<&Entry> {
        let something = |entry: &&Entry| match &entry.node.value {
            Value::Scalar(scalar) => scalar.meaning() != Meaning::Nothing,
            _ => true,
        };
        let set = names.iter().filter_map(|name| self.variables.get(name));
        set.copied().find(something)
    }

    fn get_text(&self, name: &str) -> Option<&str> {
        self.get(&[name]).and_then(|entry| entry.node.text())
    }

    fn fields(&self, table: &[(&'static str, &[&str])]) -> impl Iterator<Item = Entry> {
        table.iter().filter_map(|(field, variables)| {
            let found = self.get(variables)?;
            Some(Entry {
                key: Key {
                    place: found.key.place,
                    text: (*field).to_owned(),
                },
                node: found.node.clone(),
            })
        })
    }

    fn becoming(&self) -> Option<Entry> {
        let become_root = self.get_text(BECOME).map(truth);
        let word = match (become_root, self.get_text(BECOME_METHOD)) {
            (Some(Some(false)), _) => "none",
            (_, Some(method)) => method,
            (Some(_), None) => "sudo",
            (None, None) => return None,
        };
        let place = self.get(&[BECOME_METHOD, BECOME])?.node.place;
        let node = Node {
            place,
            ..self.text(word)
        };
        Some(self.field("become", node))
    }

    fn installed(&self, field: &str, what: &Installed) -> Option<Entry> {
        self.get_text(what.when).filter(|text| !text.is_empty())?;
        let node = match self.get(&[what.at]) {
            Some(entry) => entry.node.clone(),
            None => self.text(what.otherwise),
        };
        Some(self.field(field, node))
    }

    /// The file of ssh's configuration that the arguments name.
    pub(super) fn configuration(&self) -> Result<Option<Node>, Diagnostic> {
        let Some(entry) = self.get(&ARGUMENTS) else {
            return Ok(None);
        };
        let words: Vec<&str> = entry
            .node
            .text()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        match words.as_slice() {
            [] => Ok(None),
            ["-F", file] => Ok(Some(Node {
                place: entry.node.place,
                ..self.text(file)
            })),
            _ => Err(Diagnostic::new(
                entry.node.place,
                "arguments for ssh that are not understood, expected `-F FILE`",
            )
            .help("write what they say into a configuration of ssh")),
        }
    }

    pub(super) fn problems(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (name, entry) in &self.variables {
            let place = entry.key.place;
            if PASSWORDS.contains(name) {
                problems.push(
                    Diagnostic::new(place, "passwords are not used, expected a key")
                        .help("load the key into the ssh agent, and let sudo ask for no password"),
                );
            }
            let ours = known().any(|known| known == *name);
            if (ours || [PROGRAM.at, DISK.at].contains(name))
                && entry.node.text().is_some_and(|text| text.contains("{{"))
            {
                problems.push(
                    Diagnostic::new(entry.node.place, "a template, expected the value")
                        .help("`ansible-inventory -i FILE --list --yaml` prints the values"),
                );
            }
            if !ours
                && name.starts_with("ansible_")
                && let Some(near) = nearest(name, known())
                && near.len().abs_diff(name.len()) < 2
            {
                problems.push(
                    Diagnostic::new(place, format!("unknown variable `{name}`"))
                        .help(format!("did you mean `{near}`?")),
                );
            }
        }
        let mut expect = |variable: &str, expected: &[&str]| {
            if let Some(entry) = self.get(&[variable])
                && entry
                    .node
                    .text()
                    .is_none_or(|text| !expected.contains(&text))
            {
                let expected: Vec<String> =
                    expected.iter().map(|word| format!("`{word}`")).collect();
                let problem = format!("{variable}: expected {}", expected.join(" or "));
                problems.push(Diagnostic::new(entry.node.place, problem));
            }
        };
        expect(BECOME_METHOD, &["sudo", "doas"]);
        expect(BECOME_USER, &["root"]);
        expect(CONNECTION, &["ssh", "smart"]);
        if let Some(entry) = self.get(&[BECOME])
            && entry.node.text().and_then(truth).is_none()
        {
            let problem = format!("{BECOME}: expected `true` or `false`");
            problems.push(Diagnostic::new(entry.node.place, problem));
        }
        problems
    }

    fn field(&self, name: &str, node: Node) -> Entry {
        Entry {
            key: Key {
                place: node.place,
                text: name.to_owned(),
            },
            node,
        }
    }

    fn map(&self, entries: Vec<Entry>) -> Node {
        Node {
            place: self.key.place,
            value: Value::Map(entries),
        }
    }

    fn text(&self, text: &str) -> Node {
        Node {
            place: self.key.place,
            value: Value::Scalar(Scalar {
                text: text.to_owned(),
                style: Style::Quoted,
            }),
        }
    }
}

/// As Ansible understands it.
fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}
