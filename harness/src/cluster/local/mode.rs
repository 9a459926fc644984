use std::fmt;

use node::cgroup::Hierarchies;
use node::facts::{Answer, Facts};

use crate::cluster::spec::ModeSpec;

/// How nodes are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Namespaces, budgets and disks, by root.
    Root,
    /// Namespaces within a user namespace.
    User,
    /// Processes on loopback addresses.
    Plain,
    /// Machines of their own, reached over SSH.
    Machines,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Root => "local (namespaces, as root)",
            Mode::User => "local (namespaces of a user namespace, unprivileged)",
            Mode::Plain => "local (plain processes)",
            Mode::Machines => "machines over SSH",
        })
    }
}

impl Mode {
    /// What is left of a machine's means for a node of this mode.
    pub(in crate::cluster) fn means(self, mut facts: Facts) -> Facts {
        if matches!(self, Mode::User | Mode::Plain) {
            facts.cgroups = Hierarchies::default();
        }
        if self == Mode::Plain {
            let reason = "nodes without namespaces have no network of their own".to_owned();
            facts.netem = Answer::No(reason.clone());
            facts.nfqueue = Answer::No(reason);
        }
        facts
    }

    /// What may be tried, best first.
    pub(super) fn candidates(spec: ModeSpec) -> Vec<Mode> {
        match spec {
            ModeSpec::Root => vec![Mode::Root],
            ModeSpec::User => vec![Mode::User],
            ModeSpec::Plain => vec![Mode::Plain],
            ModeSpec::Auto if nix::unistd::geteuid().is_root() => {
                vec![Mode::Root, Mode::User, Mode::Plain]
            }
            ModeSpec::Auto => vec![Mode::User, Mode::Plain],
        }
    }

    /// What cannot be had in this mode, and why the better ones were not to be had.
    pub(super) fn limitations(self, tried: &[(Mode, String)]) -> Vec<String> {
        let common = [
            "no CPU budgets: a node that is slowed down leaves its CPU to the others, and they may get faster by it",
            "no disks of their own: nodes share the machine's disk",
        ];
        let plain = [
            "no network namespaces: nodes are processes on loopback addresses, and network faults cannot be injected",
        ];
        let own: Vec<&str> = match self {
            Mode::Root | Mode::Machines => Vec::new(),
            Mode::User => common.to_vec(),
            Mode::Plain => [&common[..], &plain[..]].concat(),
        };
        let mut limitations: Vec<String> = own.into_iter().map(str::to_owned).collect();
        if self == Mode::User && !nix::unistd::geteuid().is_root() && tried.is_empty() {
            limitations.push("run as root to have both".to_owned());
        }
        limitations.extend(
            tried
                .iter()
                .map(|(mode, reason)| format!("{mode} does not work here: {reason}")),
        );
        limitations
    }
}
