use std::fmt;

use node::facts::Facts;
use serde::{Deserialize, Serialize};

use crate::available::{Availability, Backend, available};
use crate::spec::FaultType;

/// Where a fault is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Site {
    /// On the node that becomes slow, by its own agent.
    Node,
    /// On the router between the nodes, by the hub's agent.
    Hub,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Site::Node => "node",
            Site::Hub => "hub",
        })
    }
}

/// How the nodes are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wiring {
    /// By a router of depbench's own, which has an agent too.
    Hub,
    /// By a network that is not depbench's.
    Direct,
    /// Not at all: processes that share one loopback.
    Shared,
}

impl FaultType {
    /// Where this fault is carried out on a machine with these means: on the node itself, except for what is better done
    /// in the hub: what the delay line does (in a node's own output path it would starve TCP), and what is cut off (whose
    /// sender must not notice).
    pub fn site(&self, facts: &Facts, wiring: Wiring) -> Site {
        match available(self, facts, wiring) {
            Availability::Yes {
                backend: Backend::DelayLine | Backend::PacketFilter,
                ..
            } if wiring == Wiring::Hub => Site::Hub,
            Availability::Yes { .. } | Availability::No { .. } => Site::Node,
        }
    }
}
