use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::Role;
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;
use workloads::DriverKind;

use crate::{Durability, Layout, MemberPlan, Poll, Target, built_in, status};

/// DepFast-Copilot, served by depbench itself (`depbench serve copilot`); 3, 5 or 7 servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DepfastCopilot {
    /// What an acknowledged write has survived; the papers' is memory.
    pub durability: Durability,
    /// How long a decided entry waits for the other pilot's before that pilot's work is taken over.
    pub takeover: Span,
    /// How long a pilot that has proposed waits for the other one's proposal (ping-pong batching).
    pub batching: Span,
    /// How often a replica says that it lives.
    pub heartbeat: Span,
    /// A pilot that is silent for this long loses its role.
    pub suspicion: Span,
}

impl Default for DepfastCopilot {
    fn default() -> Self {
        DepfastCopilot {
            durability: Durability::Memory,
            takeover: Span::millis(10),
            batching: Span::millis(1),
            heartbeat: Span::millis(100),
            suspicion: Span::millis(1000),
        }
    }
}

impl Validate for DepfastCopilot {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        for (key, span) in [("takeover", self.takeover), ("heartbeat", self.heartbeat)] {
            if span == Span::ZERO {
                problems.add(
                    at.key(key),
                    format!("a {key} of 0s would never rest; expected a time such as 10ms"),
                );
            }
        }
        if self.suspicion.duration() < self.heartbeat.duration() * 3 {
            problems.add_with_help(
                at.key("suspicion"),
                format!("{} is shorter than three heartbeats of {}", self.suspicion, self.heartbeat),
                "one late heartbeat would depose a healthy pilot: raise suspicion or lower heartbeat",
            );
        }
    }
}

impl Target for DepfastCopilot {
    fn name(&self) -> &'static str {
        "depfast-copilot"
    }

    fn about(&self) -> &'static str {
        "DepFast-Copilot, built in: two pilots, so that one slow replica slows nobody; Redis protocol"
    }

    /// To both pilots, as in the paper: through one replica, that one's slowness would be its clients'.
    fn driver(&self) -> DriverKind {
        DriverKind::Pilots
    }

    fn forgets(&self) -> bool {
        self.durability == Durability::Memory
    }

    fn is_traced(&self) -> bool {
        true
    }

    fn roles(&self) -> &'static [Role] {
        &[Role::Pilot, Role::Copilot, Role::Follower]
    }

    /// Two pilots need a majority without one of them; an even number tolerates no more than one fewer does.
    fn objection_to(&self, members: usize) -> Option<String> {
        let possible = matches!(members, 3 | 5 | 7);
        (!possible).then(|| format!("depfast-copilot runs on 3, 5 or 7 servers, not on {members}"))
    }

    fn client_address(&self, ip: IpAddr) -> SocketAddr {
        built_in::client_address(ip)
    }

    fn member(&self, layout: &Layout, index: usize) -> MemberPlan {
        built_in::member("copilot", layout, index, self.constants())
    }

    fn status(&self, client_address: SocketAddr) -> Poll<'_> {
        Box::pin(status::from_info(client_address))
    }

    fn constants(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("durability".into(), self.durability.to_string()),
            ("takeover".into(), self.takeover.to_string()),
            ("batching".into(), self.batching.to_string()),
            ("heartbeat".into(), self.heartbeat.to_string()),
            ("suspicion".into(), self.suspicion.to_string()),
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
        let plan = DepfastCopilot::default().member(&layout::example(3), 1);
        let argv = plan.argv.join(" ");
        assert!(
            argv.starts_with(
                "/opt/depbench serve copilot --id 2 --member 1=10.0.0.1:7000,10.0.0.1:6379"
            ),
            "{argv}"
        );
        assert!(
            argv.contains("--data /data/copilot --batching 1ms"),
            "{argv}"
        );
    }

    #[test]
    fn three_five_or_seven_servers_are_right() {
        let copilot = DepfastCopilot::default();
        let right: Vec<_> = (0..10)
            .filter(|count| copilot.objection_to(*count).is_none())
            .collect();
        assert_eq!(right, [3, 5, 7]);
    }

    #[test]
    fn an_impatient_replica_is_refused() {
        let copilot = DepfastCopilot {
            suspicion: Span::millis(100),
            ..DepfastCopilot::default()
        };
        let mut problems = Problems::default();
        copilot.validate(&FieldPath::root(), &mut problems);
        assert!(problems.into_vec()[0].message.contains("three heartbeats"));
    }
}
