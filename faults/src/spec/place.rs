use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::{NodeName, Role};
use vocab::problem::{FieldPath, Problems, Validate};

use super::count::{Count, minority};
use crate::flow::{Flow, Peers};

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
    /// A link between two nodes in one direction; for network faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// What a network fault does to the traffic with clients.
    #[serde(default, skip_serializing_if = "ClientTraffic::is_included")]
    pub clients: ClientTraffic,
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

/// A link between two nodes in one direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The node that sends: the one that is hit.
    pub from: NodeName,
    /// The node that receives; a client's, too.
    pub to: NodeName,
}

/// What a network fault does to the traffic between its node and clients. What controls the node is never touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientTraffic {
    /// The same as to all other traffic.
    #[default]
    Included,
    /// Nothing.
    Exempt,
}

impl ClientTraffic {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_included(&self) -> bool {
        *self == ClientTraffic::Included
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
    /// The other end of a link is no node.
    #[error("there is no node `{0}` at the other end of the link")]
    NoSuchPeer(NodeName),
    /// Neither a role nor a node nor a link is given.
    #[error("a fault needs a `role`, a `node` or a `link`")]
    Nowhere,
}

impl Place {
    /// A node by name; whoever names it means it, whatever else is hit.
    pub fn node(node: NodeName) -> Place {
        Place {
            role: None,
            node: Some(node),
            link: None,
            clients: ClientTraffic::Included,
            count: Count::default(),
            resolve: Resolve::Once,
            allow_majority: true,
        }
    }

    /// A link by the names of its ends.
    pub fn link(link: Link) -> Place {
        let mut place = Place::node(link.from.clone());
        place.node = None;
        place.link = Some(link);
        place
    }

    /// The nodes to hit among `servers` with their present roles, in the order given.
    ///
    /// # Errors
    /// The place does not fit the cluster; see [`PlaceError`].
    pub fn pick(&self, servers: &[(NodeName, Option<Role>)]) -> Result<Vec<NodeName>, PlaceError> {
        let named = self
            .node
            .as_ref()
            .or(self.link.as_ref().map(|link| &link.from));
        let picked: Vec<NodeName> = match (named, self.role) {
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

    /// Which packets of a node hit a network fault is about, where hosts have these addresses.
    ///
    /// # Errors
    /// The other end of the link is no node of the cluster.
    pub fn flow(
        &self,
        address: impl Fn(&NodeName) -> Option<IpAddr>,
        clients: &[IpAddr],
    ) -> Result<Flow, PlaceError> {
        let peers = match &self.link {
            None => Peers::Everyone,
            Some(link) => Peers::Only(vec![
                address(&link.to).ok_or_else(|| PlaceError::NoSuchPeer(link.to.clone()))?,
            ]),
        };
        let exempt = match self.clients {
            ClientTraffic::Included => Vec::new(),
            ClientTraffic::Exempt => clients.to_vec(),
        };
        Ok(Flow {
            peers,
            exempt,
            ..Flow::default()
        })
    }

    /// The one node that it names, if it names one: the one that is hit.
    pub fn sender(&self) -> Option<&NodeName> {
        let from = self.link.as_ref().map(|link| &link.from);
        self.node.as_ref().or(from)
    }

    /// Whether only a network fault can be at it.
    pub fn is_of_the_network(&self) -> bool {
        self.link.is_some() || self.clients != ClientTraffic::Included
    }
}

impl Validate for Place {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        let given = [
            self.role.is_some(),
            self.node.is_some(),
            self.link.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            problems.add_with_help(
                at.clone(),
                "expected either `role` or `node` or `link`",
                "`{role: follower}`, `{node: s2}`, or for network faults `{link: {from: s1, to: s2}}`",
            );
        }
        if self.link.as_ref().is_some_and(|link| link.from == link.to) {
            problems.add(at.key("link").key("to"), "a node has no link to itself");
        }
        if self.link.is_some() && self.clients == ClientTraffic::Exempt {
            problems.add(
                at.key("clients"),
                "a link has two ends: `clients` goes with `role` and `node`",
            );
        }
        let named = self.node.is_some() || self.link.is_some();
        if named && self.count != Count::default() {
            problems.add(
                at.key("count"),
                "one node by name is one node: `count` goes with `role`",
            );
        }
        if named && self.resolve == Resolve::Track {
            problems.add(
                at.key("resolve"),
                "a node by name does not move: `track` goes with `role`",
            );
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, &self.link, self.role) {
            (Some(node), ..) => write!(f, "{node}"),
            (None, Some(link), _) => write!(f, "the link from {} to {}", link.from, link.to),
            (None, None, Some(role)) if self.count == Count::default() => write!(f, "one {role}"),
            (None, None, Some(role)) => write!(f, "{} {role}s", self.count),
            (None, None, None) => f.write_str("nowhere"),
        }?;
        match self.clients {
            ClientTraffic::Included => Ok(()),
            ClientTraffic::Exempt => f.write_str(" (not towards clients)"),
        }
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
    fn a_flow_is_a_link_or_all_but_the_clients() {
        let address = |node: &NodeName| match node.as_str() {
            "s2" => Some("10.0.0.2".parse().unwrap()),
            _ => None,
        };
        let flow = |place: &str| {
            let place: Place = serde_yaml::from_str(place).unwrap();
            place.flow(address, &["10.0.0.9".parse().unwrap()])
        };
        assert!(flow("{role: leader}").unwrap().is_everything());
        let link = flow("{link: {from: s1, to: s2}}").unwrap();
        assert_eq!(link.to_string(), "10.0.0.2");
        let servers = flow("{node: s1, clients: exempt}").unwrap();
        assert_eq!(servers.to_string(), "everyone but 10.0.0.9");
        assert!(flow("{link: {from: s1, to: s7}}").is_err());
        assert_eq!(
            pick("{link: {from: s3, to: s2}}", &[F, L, F]).unwrap(),
            ["s3"]
        );
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
