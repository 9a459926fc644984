use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use faults::Connection;
use node::journal::Purpose;
use node::links::{LinkName, LinkNameError};
use serde::{Deserialize, Serialize};
use vocab::ids::NodeName;
use vocab::units::Span;

/// How long an agent keeps faults and processes without hearing from its controller.
pub const DEFAULT_LEASE: Span = Span::seconds(15);

/// What an agent must know before it can be spoken to: its one argument, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The run and the node.
    pub purpose: Purpose,
    /// Where the undo journal lies.
    pub journal: PathBuf,
    /// The node's directory; made by the agent, removed when it ends.
    pub dir: PathBuf,
    /// How long to live without a frame from the controller.
    pub lease: Span,
    /// How the node is kept apart from the rest of the machine.
    pub isolation: Isolation,
}

/// How a node is kept apart from the rest of its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Not at all: it is a process among others.
    None,
    /// It is the machine: in its network, and with the privilege in PID and mount namespaces of its own, so that
    /// processes and mounts end with the agent.
    Machine {
        /// Whether the agent is root.
        privileged: bool,
        /// The connection on which the controller is reached, which network faults leave alone.
        control: Option<Connection>,
        /// The addresses of the other nodes.
        peers: Vec<IpAddr>,
        /// What is named instead of found.
        named: Named,
    },
    /// In namespaces of its own, routing between other nodes.
    Hub(Privilege),
    /// In namespaces of its own, joined to a hub.
    Node {
        /// The same as the hub's.
        privilege: Privilege,
        /// Where the network goes.
        uplink: Uplink,
    },
}

/// What an inventory names of a machine that is found out otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// The network interface to the other nodes.
    pub interface: Option<String>,
    /// The block device below the servers' data.
    pub device: Option<PathBuf>,
}

/// Where the right to make namespaces comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Privilege {
    /// This process has it.
    Root,
    /// A user namespace: the hub's own, which its nodes join.
    UserNamespace,
}

/// A node's link to its hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// The hub's agent, as a process number of the namespace the node's agent is started in.
    pub hub: i32,
    /// The third octet of the node's own network `10.77.N.0/24`, different for every node of a hub.
    pub subnet: u8,
}

impl Isolation {
    /// Whether its processes are in no namespace that ends with the agent.
    pub(super) fn is_shared(&self) -> bool {
        matches!(
            self,
            Isolation::None
                | Isolation::Machine {
                    privileged: false,
                    ..
                }
        )
    }
}

impl Uplink {
    /// The node's address.
    pub fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.subnet, 2)
    }

    /// The hub's address on this link.
    pub fn hub_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.subnet, 1)
    }
}

/// The name of a node's link at the hub's end.
///
/// # Errors
/// When the name of the node is too long for a link.
pub(super) fn hub_link(node: &NodeName) -> Result<LinkName, LinkNameError> {
    format!("{}{node}", LinkName::PREFIX).parse()
}

impl Options {
    /// The arguments that start an agent with these options.
    pub fn arguments(&self) -> [OsString; 2] {
        let json = serde_json::to_string(self).expect("options have only string keys");
        ["agent".into(), json.into()]
    }
}
