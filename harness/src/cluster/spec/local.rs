use std::num::NonZeroU8;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Bytes;

use super::Cpus;

/// The most nodes of one kind: their addresses are one octet, and one machine carries no more in any useful way.
const MOST_NODES: u8 = 99;

/// The smallest disk that holds a file system and its journal.
const SMALLEST_DISK: Bytes = node::loopdisk::DiskSpec::LEAST_SIZE;

/// Nodes made out of this machine: servers `s1`, `s2`, …, clients `c1`, …
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalSpec {
    /// Nodes that run a member of the target each.
    pub servers: NonZeroU8,
    /// Nodes that drive load.
    #[serde(default = "one")]
    pub clients: NonZeroU8,
    /// How nodes are kept apart.
    #[serde(default)]
    pub mode: ModeSpec,
    /// How much CPU each server node has.
    #[serde(default)]
    pub budget: BudgetSpec,
    /// Which CPUs nodes may use.
    #[serde(default)]
    pub pin: PinSpec,
    /// Which disk server nodes write to.
    #[serde(default)]
    pub disk: DiskSpec,
}

/// How nodes are kept apart on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ModeSpec {
    /// The first of the following that works here.
    #[default]
    Auto,
    /// As root: network, PID and mount namespaces, CPU budgets, own disks.
    Root,
    /// Without privileges: the namespaces of a user namespace; no budgets, no own disks.
    User,
    /// Without namespaces: processes on loopback addresses.
    Plain,
}

/// How much CPU each server node has for its server and contention programs together.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BudgetSpec {
    /// An equal part of half the machine, so that servers never compete with each other nor with the clients.
    #[default]
    Auto,
    /// No budget: the whole machine is shared. For measurements of speed, not of faults.
    None,
    /// As written.
    Each(Cpus),
}

/// Which CPUs nodes may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PinSpec {
    /// `split` without budgets, `none` with them.
    #[default]
    Auto,
    /// Every node may use every CPU.
    None,
    /// Servers on the first half of the CPUs, clients and all else on the second.
    Split,
}

/// Which disk server nodes write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiskSpec {
    /// A disk of its own for every server, of this size, where the mode allows it.
    Own(Bytes),
    /// A directory on the disk of the state directory.
    Shared,
}

impl Default for DiskSpec {
    fn default() -> DiskSpec {
        DiskSpec::Own(node::loopdisk::DiskSpec::DEFAULT_SIZE)
    }
}

impl LocalSpec {
    /// A cluster with everything else by default.
    pub fn new(servers: NonZeroU8, clients: NonZeroU8) -> LocalSpec {
        LocalSpec {
            servers,
            clients,
            mode: ModeSpec::default(),
            budget: BudgetSpec::default(),
            pin: PinSpec::default(),
            disk: DiskSpec::default(),
        }
    }
}

impl Validate for LocalSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        for (key, count) in [("servers", self.servers), ("clients", self.clients)] {
            if count.get() > MOST_NODES {
                problems.add(
                    at.key(key),
                    format!("{count} is too many, expected at most {MOST_NODES}"),
                );
            }
        }
        if let DiskSpec::Own(size) = self.disk
            && size < SMALLEST_DISK
        {
            problems.add(
                at.key("disk").key("own"),
                format!("{size} does not hold a file system, expected at least {SMALLEST_DISK}"),
            );
        }
        if matches!(self.mode, ModeSpec::User | ModeSpec::Plain)
            && matches!(self.budget, BudgetSpec::Each(_))
        {
            problems.add_with_help(
                at.key("budget"),
                "CPU budgets need root, which `mode` rules out",
                "leave `mode` or `budget` out",
            );
        }
    }
}

fn one() -> NonZeroU8 {
    NonZeroU8::MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let spec: LocalSpec = serde_yaml::from_str(text).unwrap();
        let mut problems = Problems::default();
        spec.validate(&FieldPath::root(), &mut problems);
        problems
            .into_vec()
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn the_short_form_is_enough() {
        let spec: LocalSpec = serde_yaml::from_str("{servers: 3}").unwrap();
        assert_eq!(
            spec,
            LocalSpec::new(NonZeroU8::new(3).unwrap(), NonZeroU8::MIN)
        );
        let text =
            "{servers: 3, clients: 2, mode: user, budget: none, pin: split, disk: {own: 64MiB}}";
        let spec: LocalSpec = serde_yaml::from_str(text).unwrap();
        assert_eq!(spec.disk, DiskSpec::Own(Bytes(64 << 20)));
        assert!(problems(text).is_empty());
        assert!(problems("{servers: 3, budget: {each: 0.3cpu}, disk: shared}").is_empty());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(problems("{servers: 100}")[0].contains("at most 99"));
        assert!(problems("{servers: 1, disk: {own: 1MB}}")[0].contains("at least 64MiB"));
        assert!(
            problems("{servers: 1, mode: plain, budget: {each: 1cpu}}")[0].contains("need root")
        );
        for text in [
            "{}",
            "{servers: 0}",
            "{servers: 3, nodes: 1}",
            "{servers: 3, budget: {each: 1}}",
        ] {
            assert!(serde_yaml::from_str::<LocalSpec>(text).is_err(), "{text}");
        }
    }
}
