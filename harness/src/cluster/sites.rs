use std::net::IpAddr;

use faults::{FaultType, Place, Site, Wiring};
use vocab::ids::{FaultName, NodeName};

use super::{Cluster, Mode, Node, Purpose};
use crate::agent::wire::FaultOrder;

/// Where faults on the nodes of a cluster are carried out, as long as these nodes live; a node that is made anew is not
/// among them.
#[derive(Clone)]
pub struct Sites {
    nodes: Vec<Node>,
    mode: Mode,
    wiring: Wiring,
}

impl Cluster {
    /// Where faults on the present nodes are carried out.
    pub fn sites(&self) -> Sites {
        Sites {
            nodes: self.nodes().cloned().collect(),
            mode: self.mode(),
            wiring: self.wiring(),
        }
    }
}

impl Sites {
    /// The servers, in the order of their numbers.
    pub fn servers(&self) -> impl Iterator<Item = &Node> {
        self.of(Purpose::Server)
    }

    /// The site at which a fault on `victim` is carried out, and what to ask for there.
    ///
    /// # Errors
    /// There is no such node, or none that could carry it out; or a lost agent.
    pub async fn order(
        &self,
        fault: &FaultName,
        kind: &FaultType,
        place: &Place,
        victim: &NodeName,
    ) -> Result<(Node, FaultOrder), String> {
        let node = self.node(victim)?;
        let facts = node.facts().await.map_err(|error| error.to_string())?;
        let facts = self.mode.means(facts);
        let site = match kind.site(&facts, self.wiring) {
            Site::Node => node,
            Site::Hub => self
                .of(Purpose::Hub)
                .next()
                .ok_or("this cluster has no hub between its nodes to carry it out")?,
        };
        let address = |name: &NodeName| Some(self.node(name).ok()?.address());
        let clients: Vec<IpAddr> = self.of(Purpose::Client).map(Node::address).collect();
        let flow = place
            .flow(address, &clients)
            .map_err(|error| error.to_string())?;
        let order = FaultOrder {
            fault: fault.clone(),
            kind: kind.clone(),
            victim: victim.clone(),
            address: node.address(),
            flow,
        };
        Ok((site.clone(), order))
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// A node by its name.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn node(&self, name: &NodeName) -> Result<&Node, String> {
        let named = self.nodes.iter().find(|node| node.name() == name);
        named.ok_or_else(|| {
            let known: Vec<&str> = self.nodes.iter().map(|node| node.name().as_str()).collect();
            format!("there is no node {name}, only {}", known.join(", "))
        })
    }

    fn of(&self, purpose: Purpose) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(move |node| node.purpose() == purpose)
    }
}
