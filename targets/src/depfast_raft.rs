use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::Role;
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;
use workloads::DriverKind;

use crate::{Durability, Layout, MemberPlan, Poll, Target, built_in, status};

/// DepFast-Raft, served by depbench itself (`depbench serve raft`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DepfastRaft {
    /// What an acknowledged write has survived.
    pub durability: Durability,
    /// A follower that hears nothing for this long, up to twice as long, stands for election.
    pub election_timeout: Span,
    /// How often an idle leader says that it lives.
    pub heartbeat: Span,
    /// How a read is known to be current.
    pub reads: Reads,
    /// Whether a leader that finds itself slow (starved of CPU, slow flushes) hands leadership to a healthy follower.
    pub mitigation: bool,
}

/// How a read is known to be current.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// A majority answers the leader first.
    #[default]
    Quorum,
    /// Or a majority has answered it lately; that needs clocks whose rates differ by less than a tenth.
    Lease,
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reads::Quorum => "quorum",
            Reads::Lease => "lease",
        })
    }
}

impl Default for DepfastRaft {
    fn default() -> Self {
        DepfastRaft {
            durability: Durability::Fsync,
            election_timeout: Span::millis(500),
            heartbeat: Span::millis(50),
            reads: Reads::Quorum,
            mitigation: false,
        }
    }
}

impl Validate for DepfastRaft {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.heartbeat == Span::ZERO {
            problems.add(
                at.key("heartbeat"),
                "a heartbeat every 0s would never rest; expected a time such as 100ms",
            );
        }
        if self.election_timeout.duration() < self.heartbeat.duration() * 3 {
            problems.add_with_help(
                at.key("election_timeout"),
                format!("{} is shorter than three heartbeats of {}", self.election_timeout, self.heartbeat),
                "one late heartbeat would depose a healthy leader: raise election_timeout or lower heartbeat",
            );
        }
    }
}

impl Target for DepfastRaft {
    fn name(&self) -> &'static str {
        "depfast-raft"
    }

    fn about(&self) -> &'static str {
        "DepFast-Raft, built in: Raft on DepFast quorum events, Redis protocol"
    }

    fn driver(&self) -> DriverKind {
        DriverKind::Resp
    }

    fn has_sessions(&self) -> bool {
        true
    }

    fn forgets(&self) -> bool {
        self.durability == Durability::Memory
    }

    fn is_traced(&self) -> bool {
        true
    }

    fn roles(&self) -> &'static [Role] {
        &[Role::Leader, Role::Follower]
    }

    fn client_address(&self, ip: IpAddr) -> SocketAddr {
        built_in::client_address(ip)
    }

    fn member(&self, layout: &Layout, index: usize) -> MemberPlan {
        built_in::member("raft", layout, index, self.constants())
    }

    fn status(&self, client_address: SocketAddr) -> Poll<'_> {
        Box::pin(status::from_info(client_address))
    }

    fn constants(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("durability".into(), self.durability.to_string()),
            ("election_timeout".into(), self.election_timeout.to_string()),
            ("heartbeat".into(), self.heartbeat.to_string()),
            ("reads".into(), self.reads.to_string()),
            ("mitigation".into(), self.mitigation.to_string()),
        ])
    }

    fn version_command(&self) -> Option<Vec<String>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    #[test]
    fn members_know_each_other() {
        let plan = DepfastRaft::default().member(&layout::example(3), 1);
        let argv = plan.argv.join(" ");
        assert!(
            argv.starts_with(
                "/opt/depbench serve raft --id 2 --member 1=10.0.0.1:7000,10.0.0.1:6379"
            ),
            "{argv}"
        );
        assert!(
            argv.contains("--data /data/raft --durability fsync --election-timeout"),
            "{argv}"
        );
    }

    #[test]
    fn an_impatient_follower_is_refused() {
        let raft = DepfastRaft {
            election_timeout: Span::millis(100),
            ..DepfastRaft::default()
        };
        let mut problems = Problems::default();
        raft.validate(&FieldPath::root(), &mut problems);
        assert!(problems.into_vec()[0].message.contains("three heartbeats"));
    }
}
