use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};

use crate::{DepfastCopilot, DepfastRaft, Etcd, Redis, Target};

/// A system under test and its settings, as written in the experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TargetSpec {
    /// DepFast-Raft, built in.
    DepfastRaft(DepfastRaft),
    /// DepFast-Copilot, built in.
    DepfastCopilot(DepfastCopilot),
    /// etcd v3.
    Etcd(Etcd),
    /// One unreplicated Redis: the upper bound of what the machine and the client can do.
    Redis(Redis),
}

impl TargetSpec {
    /// Every target with its default settings.
    pub fn all() -> Vec<TargetSpec> {
        vec![
            TargetSpec::DepfastRaft(DepfastRaft::default()),
            TargetSpec::DepfastCopilot(DepfastCopilot::default()),
            TargetSpec::Etcd(Etcd::default()),
            TargetSpec::Redis(Redis::default()),
        ]
    }

    /// The same with acknowledged writes as durable as asked; `None` if the system offers no such choice.
    pub fn with_durability(self, durability: Durability) -> Option<TargetSpec> {
        match self {
            TargetSpec::DepfastRaft(raft) => {
                Some(TargetSpec::DepfastRaft(DepfastRaft { durability, ..raft }))
            }
            TargetSpec::DepfastCopilot(copilot) => {
                Some(TargetSpec::DepfastCopilot(DepfastCopilot {
                    durability,
                    ..copilot
                }))
            }
            TargetSpec::Redis(redis) => Some(TargetSpec::Redis(Redis {
                durability,
                ..redis
            })),
            TargetSpec::Etcd(_) => (durability == Durability::Fsync).then_some(self),
        }
    }

    /// The system itself.
    pub fn target(&self) -> &dyn Target {
        match self {
            TargetSpec::DepfastRaft(target) => target,
            TargetSpec::DepfastCopilot(target) => target,
            TargetSpec::Etcd(target) => target,
            TargetSpec::Redis(target) => target,
        }
    }
}

impl Validate for TargetSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        match self {
            TargetSpec::DepfastRaft(raft) => raft.validate(&at.key("depfast-raft"), problems),
            TargetSpec::DepfastCopilot(copilot) => {
                copilot.validate(&at.key("depfast-copilot"), problems);
            }
            TargetSpec::Etcd(etcd) => etcd.validate(&at.key("etcd"), problems),
            TargetSpec::Redis(redis) => redis.validate(&at.key("redis"), problems),
        }
    }
}

/// What an acknowledged write has survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Synced to disk on a quorum.
    #[default]
    Fsync,
    /// In the memory of a quorum, as in the DepFast papers.
    Memory,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::Fsync => "fsync",
            Durability::Memory => "memory",
        })
    }
}

/// Refuses an empty program path.
pub(crate) fn check_program(program: Option<&str>, at: &FieldPath, problems: &mut Problems) {
    if program.is_some_and(|path| path.trim().is_empty()) {
        problems.add_with_help(
            at.key("path"),
            "the path of the program is empty",
            "leave `path` out to use the program found on PATH",
        );
    }
}
