//! Two nodes in network namespaces, joined by a hub that routes.

use std::net::{IpAddr, Ipv4Addr};

use depbench_faults::FaultLink;
use node::links::{LinkName, Links};
use node::netns::NetNs;

/// The namespaces; they are gone with this value.
pub(crate) struct Network {
    pub(crate) hub: NetNs,
    pub(crate) nodes: [NetNs; 2],
}

impl Network {
    /// Makes the namespaces and the links between them.
    pub(crate) fn new() -> Network {
        let hub = NetNs::create().unwrap();
        let nodes = [NetNs::create().unwrap(), NetNs::create().unwrap()];
        let hub_links = Links::open_in(&hub).unwrap();
        for (number, node) in nodes.iter().enumerate() {
            let (ours, theirs) = (hub_link(number), node_link());
            hub_links
                .create_veth(&ours, &theirs, std::os::fd::AsFd::as_fd(node))
                .unwrap();
            hub_links
                .add_address(&ours, hub_address(number).into(), 24)
                .unwrap();
            hub_links.set_up(&ours).unwrap();
            let links = Links::open_in(node).unwrap();
            links
                .add_address(&theirs, node_address(number).into(), 24)
                .unwrap();
            links.set_up(&theirs).unwrap();
            let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            links
                .add_route(everywhere, 0, hub_address(number).into())
                .unwrap();
        }
        hub.enable_forwarding().unwrap();
        Network { hub, nodes }
    }

    /// The link of a node as the hub sees it.
    pub(crate) fn link_at_hub(&self, number: usize) -> FaultLink {
        FaultLink {
            device: hub_link(number),
            peer: node_address(number),
        }
    }
}

fn hub_link(number: usize) -> LinkName {
    format!("n{number}").parse().unwrap()
}

/// The name that every node's link has there.
pub(crate) fn node_link() -> LinkName {
    "eth0".parse().unwrap()
}

/// The hub's address on a node's link.
pub(crate) fn hub_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, number as u8, 1)
}

/// The address of a node.
pub(crate) fn node_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, number as u8, 2)
}
