use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::Role;
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;
use workloads::DriverKind;

use crate::{Layout, MemberPlan, Poll, Target, spec, status};

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

/// etcd v3, from a package or a path on the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Etcd {
    /// The program; without it, `etcd` on the node's PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// etcd's `--heartbeat-interval`, whole milliseconds.
    pub heartbeat: Span,
    /// etcd's `--election-timeout`, whole milliseconds.
    pub election_timeout: Span,
}

impl Default for Etcd {
    fn default() -> Self {
        // etcd's own defaults.
        Etcd {
            path: None,
            heartbeat: Span::millis(100),
            election_timeout: Span::millis(1000),
        }
    }
}

impl Validate for Etcd {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        spec::check_program(self.path.as_deref(), at, problems);
        if self.heartbeat.duration().as_millis() == 0 {
            problems.add(
                at.key("heartbeat"),
                format!("{} is below etcd's least heartbeat of 1ms", self.heartbeat),
            );
        }
        if self.election_timeout.duration() < self.heartbeat.duration() * 5 {
            problems.add(
                at.key("election_timeout"),
                format!(
                    "{} is below five heartbeats of {}, which etcd refuses",
                    self.election_timeout, self.heartbeat
                ),
            );
        }
    }
}

impl Target for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn about(&self) -> &'static str {
        "etcd v3 (Debian: etcd-server), gRPC"
    }

    fn driver(&self) -> DriverKind {
        DriverKind::Etcd
    }

    fn roles(&self) -> &'static [Role] {
        &[Role::Leader, Role::Follower]
    }

    fn client_address(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, CLIENT_PORT)
    }

    fn member(&self, layout: &Layout, index: usize) -> MemberPlan {
        let url = |ip: IpAddr, port: u16| format!("http://{}", SocketAddr::new(ip, port));
        let own = &layout.members[index];
        let cluster: Vec<String> = layout
            .members
            .iter()
            .map(|member| format!("{}={}", member.node, url(member.ip, PEER_PORT)))
            .collect();
        let argv = [
            self.path.as_deref().unwrap_or("etcd"),
            "--name",
            own.node.as_str(),
            "--data-dir",
            &own.data("etcd"),
            "--listen-peer-urls",
            &url(own.ip, PEER_PORT),
            "--initial-advertise-peer-urls",
            &url(own.ip, PEER_PORT),
            "--listen-client-urls",
            &url(own.ip, CLIENT_PORT),
            "--advertise-client-urls",
            &url(own.ip, CLIENT_PORT),
            "--initial-cluster",
            &cluster.join(","),
            "--initial-cluster-state",
            "new",
            "--initial-cluster-token",
            "depbench",
            "--quota-backend-bytes",
            "8589934592",
            "--heartbeat-interval",
            &self.heartbeat.duration().as_millis().to_string(),
            "--election-timeout",
            &self.election_timeout.duration().as_millis().to_string(),
        ];
        MemberPlan::of(argv.map(str::to_owned).to_vec())
    }

    fn status(&self, client_address: SocketAddr) -> Poll<'_> {
        Box::pin(status::from_etcd(client_address))
    }

    fn constants(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("heartbeat".into(), self.heartbeat.to_string()),
            ("election_timeout".into(), self.election_timeout.to_string()),
        ])
    }

    fn package(&self) -> Option<&'static str> {
        Some("etcd-server")
    }

    fn version_command(&self) -> Option<Vec<String>> {
        Some(vec![
            self.path.clone().unwrap_or_else(|| "etcd".into()),
            "--version".into(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    #[test]
    fn members_form_one_cluster() {
        let argv = Etcd::default()
            .member(&layout::example(3), 0)
            .argv
            .join(" ");
        assert!(
            argv.contains("--initial-cluster s1=http://10.0.0.1:2380,s2=http://10.0.0.2:2380,s3=http://10.0.0.3:2380"),
            "{argv}"
        );
        assert!(
            argv.contains("--listen-client-urls http://10.0.0.1:2379 "),
            "{argv}"
        );
    }

    #[test]
    fn what_etcd_refuses_is_refused_before() {
        let etcd = Etcd {
            election_timeout: Span::millis(200),
            path: Some(" ".into()),
            ..Etcd::default()
        };
        let mut problems = Problems::default();
        etcd.validate(&FieldPath::root(), &mut problems);
        assert_eq!(problems.into_vec().len(), 2);
    }
}
