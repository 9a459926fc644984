use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vocab::ids::{NodeName, Role};
use vocab::problem::{FieldPath, Problems, Validate};

/// The node or nodes that become slow: all that have a role, up to a number, or one by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Nodes whose server has this role when the fault starts.
    #[serde(default)]
    pub role: Option<Role>,
    /// One node by its name.
    #[serde(default)]
    pub node: Option<NodeName>,
    /// How many nodes of the role.
    #[serde(default)]
    pub count: Count,
    /// What happens when the role moves to another node.
    #[serde(default)]
    pub resolve: Resolve,
    /// Lets the fault hit more than a minority of the servers.
    #[serde(default)]
    pub allow_majority: bool,
}

/// How many nodes are hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// That many.
    Number(NonZeroU32),
    /// As many as a quorum system must tolerate: one of 3, two of 5.
    Minority,
}

impl Default for Count {
    fn default() -> Self {
        Count::Number(NonZeroU32::MIN)
    }
}

/// Whether a fault follows its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Resolve {
    /// It stays on the node that had the role when it started.
    #[default]
    Once,
    /// It moves with the role.
    Track,
}

/// A place that no node of the cluster fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// The named node is not among the servers.
    #[error("there is no server `{node}`, expected one of {servers}")]
    NoSuchNode {
        /// What was asked for.
        node: NodeName,
        /// What there is.
        servers: String,
    },
    /// Fewer nodes have the role than are to be hit.
    #[error("{wanted} of role {role} are to be hit, but the cluster has {found} now")]
    TooFew {
        /// The role asked for.
        role: Role,
        /// How many are to be hit.
        wanted: usize,
        /// How many have the role.
        found: usize,
    },
    /// More than a minority would be hit.
    #[error(
        "{wanted} of {servers} servers are more than a minority, which no quorum tolerates; write `allow_majority: true` if that is meant"
    )]
    Majority {
        /// How many are to be hit.
        wanted: usize,
        /// How many there are.
        servers: usize,
    },
    /// Neither a role nor a node is given.
    #[error("a fault needs a `role` or a `node`")]
    Nowhere,
}

impl Count {
    /// As a number, in a cluster of `servers`.
    pub fn of(self, servers: usize) -> usize {
        match self {
            Count::Number(number) => number.get() as usize,
            Count::Minority => minority(servers),
        }
    }
}

/// The largest number of `servers` that leaves a majority.
fn minority(servers: usize) -> usize {
    servers.saturating_sub(1) / 2
}

impl Place {
    /// The nodes to hit among `servers` with their present roles, in the order given.
    ///
    /// # Errors
    /// The place does not fit the cluster; see [`PlaceError`].
    pub fn pick(&self, servers: &[(NodeName, Option<Role>)]) -> Result<Vec<NodeName>, PlaceError> {
        let picked: Vec<NodeName> = match (&self.node, self.role) {
            (Some(node), _) => {
                if !servers.iter().any(|(name, _)| name == node) {
                    let names: Vec<&str> = servers.iter().map(|(name, _)| name.as_str()).collect();
                    return Err(PlaceError::NoSuchNode {
                        node: node.clone(),
                        servers: names.join(", "),
                    });
                }
                vec![node.clone()]
            }
            (None, Some(role)) => {
                let holders = servers.iter().filter(|(_, has)| *has == Some(role));
                let holders: Vec<NodeName> = holders.map(|(name, _)| name.clone()).collect();
                let wanted = self.count.of(servers.len());
                if holders.len() < wanted {
                    return Err(PlaceError::TooFew {
                        role,
                        wanted,
                        found: holders.len(),
                    });
                }
                holders.into_iter().take(wanted).collect()
            }
            (None, None) => return Err(PlaceError::Nowhere),
        };
        // A single server is an upper bound to measure against, not a quorum to protect.
        if !self.allow_majority && servers.len() > 1 && picked.len() > minority(servers.len()) {
            return Err(PlaceError::Majority {
                wanted: picked.len(),
                servers: servers.len(),
            });
        }
        Ok(picked)
    }
}

impl Validate for Place {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.role.is_some() == self.node.is_some() {
            problems.add_with_help(
                at.clone(),
                "expected either `role` or `node`",
                "`{role: follower}` or `{node: s2}`",
            );
        }
        if self.node.is_some() && self.count != Count::default() {
            problems.add(
                at.key("count"),
                "one node by name is one node: `count` goes with `role`",
            );
        }
        if self.node.is_some() && self.resolve == Resolve::Track {
            problems.add(
                at.key("resolve"),
                "a node by name does not move: `track` goes with `role`",
            );
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, self.role) {
            (Some(node), _) => write!(f, "{node}"),
            (None, Some(role)) if self.count == Count::default() => write!(f, "one {role}"),
            (None, Some(role)) => write!(f, "{} {role}s", self.count),
            (None, None) => f.write_str("nowhere"),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::Number(number) => number.fmt(f),
            Count::Minority => f.write_str("a minority of"),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Count::Number(number) => number.serialize(serializer),
            Count::Minority => serializer.serialize_str("minority"),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of nodes above 0, or `minority`")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Count, E> {
                u32::try_from(number)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .map(Count::Number)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                match text {
                    "minority" => Ok(Count::Minority),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of nodes, or as many as a quorum system must tolerate.",
            "oneOf": [{"type": "integer", "minimum": 1}, {"const": "minority"}],
            "default": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(roles: &[Role]) -> Vec<(NodeName, Option<Role>)> {
        let name = |number: usize| format!("s{number}").parse().unwrap();
        let servers = roles.iter().enumerate();
        servers
            .map(|(i, role)| (name(i + 1), Some(*role)))
            .collect()
    }

    fn pick(place: &str, roles: &[Role]) -> Result<Vec<String>, PlaceError> {
        let place: Place = serde_yaml::from_str(place).unwrap();
        let picked = place.pick(&cluster(roles))?;
        Ok(picked.iter().map(ToString::to_string).collect())
    }

    use Role::{Follower as F, Leader as L};

    #[test]
    fn nodes_are_picked_by_role_and_by_name() {
        assert_eq!(pick("{role: leader}", &[F, L, F]).unwrap(), ["s2"]);
        assert_eq!(pick("{role: follower}", &[F, L, F]).unwrap(), ["s1"]);
        assert_eq!(pick("{node: s3}", &[F, L, F]).unwrap(), ["s3"]);
        let five = [L, F, F, F, F];
        assert_eq!(
            pick("{role: follower, count: minority}", &five).unwrap(),
            ["s2", "s3"]
        );
        assert_eq!(pick("{role: leader}", &[L]).unwrap(), ["s1"]);
    }

    #[test]
    fn a_majority_is_spared_unless_asked_for() {
        let error = pick("{role: follower, count: 2}", &[F, L, F]).unwrap_err();
        assert!(error.to_string().contains("allow_majority"), "{error}");
        let picked = pick(
            "{role: follower, count: 2, allow_majority: true}",
            &[F, L, F],
        );
        assert_eq!(picked.unwrap(), ["s1", "s3"]);
    }

    #[test]
    fn a_place_that_fits_no_node_says_what_there_is() {
        let error = pick("{node: s9}", &[F, L]).unwrap_err();
        assert!(error.to_string().contains("s1, s2"), "{error}");
        let error = pick("{role: leader}", &[F, F, F]).unwrap_err();
        assert_eq!(
            error,
            PlaceError::TooFew {
                role: L,
                wanted: 1,
                found: 0
            }
        );
    }
}
