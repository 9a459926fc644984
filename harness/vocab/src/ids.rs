//! Names of things, each a type of its own.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that may appear in paths, cgroup names and link names: 1 to 40 of `a-z A-Z 0-9 . _ -`, not starting with
/// a dot or a dash.
fn check_name(text: &str) -> Result<(), NameError> {
    let mut chars = text.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    (first && rest && text.len() <= 40)
        .then_some(())
        .ok_or_else(|| NameError {
            text: text.to_owned(),
        })
}

/// A name with characters that a path or a kernel object cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a name: 1 to 40 letters, digits, dots, dashes or underscores, starting with a letter or digit"
)]
pub struct NameError {
    text: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check_name(text).map(|()| $name(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                check_name(&text).map(|()| $name(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A machine of the cluster, or what stands for one: `s1`, `s2`, … are servers, `c1`, … clients, `hub` the local
    /// provider's router.
    NodeName
}

name! {
    /// A fault of the experiment file, named there so that sweeps and tables can refer to it.
    FaultName
}

name! {
    /// An experiment: one file.
    ExperimentName
}

name! {
    /// One execution of an experiment: `<experiment>-<UTC time>`; also the tag of everything it makes on a node.
    RunName
}

/// What a member of a target does at the moment, by the target's own account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Orders the writes of a leader-based system.
    Leader,
    /// Replicates what the leader orders.
    Follower,
    /// First of the two ordering replicas of Copilot.
    Pilot,
    /// Second of the two ordering replicas of Copilot.
    Copilot,
    /// Drives load.
    Client,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Pilot => "pilot",
            Role::Copilot => "copilot",
            Role::Client => "client",
        })
    }
}

/// A named stretch of a trial, in this order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Load runs, nothing counts yet.
    Warmup,
    /// The fault-free reference.
    Baseline,
    /// The faults are in.
    Fault,
    /// The faults are out again.
    Recovery,
}

impl Phase {
    /// All phases in the order of time.
    pub const ALL: [Phase; 4] = [
        Phase::Warmup,
        Phase::Baseline,
        Phase::Fault,
        Phase::Recovery,
    ];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Warmup => "warmup",
            Phase::Baseline => "baseline",
            Phase::Fault => "fault",
            Phase::Recovery => "recovery",
        })
    }
}

/// One point of an experiment's sweep, as a name fit for a directory: `depfast-raft`, `etcd,clients=64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellId(String);

impl CellId {
    /// A cell named by its target and swept values; whatever a path cannot carry becomes `_`.
    pub fn new(text: &str) -> CellId {
        let safe =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '=' | ',' | '%');
        CellId(
            text.chars()
                .map(|c| if safe(c) { c } else { '_' })
                .collect(),
        )
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One repetition of a cell; `number` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrialId {
    /// The cell that is repeated.
    pub cell: CellId,
    /// From 1.
    pub number: u32,
}

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cell, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_paths() {
        assert!("s1".parse::<NodeName>().is_ok());
        for text in [
            "",
            ".",
            "../x",
            "-rf",
            "a/b",
            "a b",
            "$(x)",
            &"a".repeat(41),
        ] {
            assert!(text.parse::<NodeName>().is_err(), "{text}");
        }
    }

    #[test]
    fn cells_fit_into_paths() {
        assert_eq!(CellId::new("etcd,share=5%").as_str(), "etcd,share=5%");
        assert_eq!(CellId::new("a/../b").as_str(), "a_.._b");
    }
}
