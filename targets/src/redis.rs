use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::Role;
use vocab::problem::{FieldPath, Problems, Validate};
use workloads::DriverKind;

use crate::{Durability, Layout, MemberPlan, Poll, Target, spec, status};

const CLIENT_PORT: u16 = 6379;

/// One unreplicated Redis server on the first server node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// The program; without it, `redis-server` on the node's PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `fsync`: an append-only file synced before each reply; `memory`: no file at all.
    pub durability: Durability,
}

impl Validate for Redis {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        spec::check_program(self.path.as_deref(), at, problems);
    }
}

impl Target for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn about(&self) -> &'static str {
        "one unreplicated Redis (Debian: redis-server): the upper bound"
    }

    fn driver(&self) -> DriverKind {
        DriverKind::Resp
    }

    fn roles(&self) -> &'static [Role] {
        &[Role::Leader]
    }

    fn members(&self, servers: usize) -> usize {
        servers.min(1)
    }

    fn client_address(&self, ip: IpAddr) -> SocketAddr {
        SocketAddr::new(ip, CLIENT_PORT)
    }

    fn member(&self, layout: &Layout, index: usize) -> MemberPlan {
        let append_only = match self.durability {
            Durability::Fsync => "yes",
            Durability::Memory => "no",
        };
        let argv = [
            self.path.as_deref().unwrap_or("redis-server"),
            "--bind",
            &layout.members[index].ip.to_string(),
            "--port",
            &CLIENT_PORT.to_string(),
            "--dir",
            &layout.members[index].data.to_string_lossy(),
            "--appendonly",
            append_only,
            "--appendfsync",
            "always",
            "--save",
            "",
            // Its namespace or loopback address is reached by this cluster alone.
            "--protected-mode",
            "no",
        ];
        MemberPlan::of(argv.map(str::to_owned).to_vec())
    }

    fn status(&self, client_address: SocketAddr) -> Poll<'_> {
        Box::pin(status::from_info(client_address))
    }

    fn constants(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("durability".into(), self.durability.to_string())])
    }

    fn package(&self) -> Option<&'static str> {
        Some("redis-server")
    }

    fn version_command(&self) -> Option<Vec<String>> {
        Some(vec![
            self.path.clone().unwrap_or_else(|| "redis-server".into()),
            "--version".into(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;

    #[test]
    fn it_is_alone_and_durable() {
        let redis = Redis::default();
        assert_eq!(redis.members(3), 1);
        let argv = redis.member(&layout::example(3), 0).argv.join(" ");
        assert!(
            argv.contains("--appendonly yes --appendfsync always"),
            "{argv}"
        );
    }
}
