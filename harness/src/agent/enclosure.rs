//! How a node is set apart from the rest of the machine. All of it happens before this process has threads: user and
//! mount namespaces cannot be entered otherwise.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use nix::sched::{CloneFlags, setns};
use node::guardian::{self, AgentSide, NamespacePlan};
use node::journal;
use node::links::{LinkError, LinkName, Links};
use node::netns::NetNs;
use vocab::ids::NodeName;

use super::complaint::complain;
use super::options::{Isolation, Options, Privilege, Uplink, hub_link};
use super::wiring::NODE_LINK;

/// The bits of a node's own network.
const PREFIX: u8 = 24;

/// Leaves a guardian behind, enters the node's namespaces, and links them to the hub.
///
/// # Errors
/// What is not allowed or not there, with what would help.
pub(super) fn enter(options: &Options) -> Result<AgentSide, String> {
    if !matches!(options.isolation, Isolation::Node { .. }) {
        heal_the_dead(options);
    }
    let hub = match &options.isolation {
        Isolation::Node { privilege, uplink } => Some(approach(*privilege, uplink)?),
        Isolation::None | Isolation::Machine { .. } | Isolation::Hub(_) => None,
    };
    let start = guardian::Options {
        journal: options.journal.clone(),
        purpose: options.purpose.clone(),
        namespaces: plan(&options.isolation),
    };
    let side = guardian::start(&start).map_err(|error| error.to_string())?;
    match (&options.isolation, hub) {
        (Isolation::Hub(_), _) => {
            let here = NetNs::current().and_then(|network| network.enable_forwarding());
            here.map_err(|error| format!("cannot let the hub route packets: {error}"))?;
        }
        (Isolation::Node { uplink, .. }, Some(hub)) => {
            link(&options.purpose.node, uplink, &hub)?;
        }
        (Isolation::Node { .. } | Isolation::None | Isolation::Machine { .. }, _) => {}
    }
    Ok(side)
}

/// Undoes what is left of runs of which nobody is alive, before anything new is built on it. The hub does so for the
/// nodes of its machine.
fn heal_the_dead(options: &Options) {
    match journal::heal(&options.journal) {
        Ok(report) if report.is_complete() => {}
        // It stays in the journal, and what it is in the way of will say so.
        Ok(report) => complain(&report.to_string()),
        Err(error) => complain(&error.to_string()),
    }
}

fn plan(isolation: &Isolation) -> NamespacePlan {
    match isolation {
        Isolation::None
        | Isolation::Machine {
            privileged: false, ..
        } => NamespacePlan::shared(),
        Isolation::Machine {
            privileged: true, ..
        } => NamespacePlan::machine(),
        Isolation::Hub(Privilege::UserNamespace) => NamespacePlan::isolated_as_user(),
        // A node has joined its hub's user namespace by then.
        Isolation::Hub(Privilege::Root) | Isolation::Node { .. } => NamespacePlan::isolated(),
    }
}

/// Opens the hub's network, which cannot be found any more from inside, and joins its user namespace.
fn approach(privilege: Privilege, uplink: &Uplink) -> Result<NetNs, String> {
    let network = NetNs::of(uplink.hub)
        .map_err(|error| format!("cannot look at the hub's network namespace: {error}"))?;
    if privilege == Privilege::UserNamespace {
        let join = || -> io::Result<()> {
            let namespace = File::open(format!("/proc/{}/ns/user", uplink.hub))?;
            Ok(setns(namespace.as_fd(), CloneFlags::CLONE_NEWUSER)?)
        };
        join().map_err(|error| format!("cannot enter the hub's user namespace: {error}"))?;
    }
    Ok(network)
}

/// Makes the pair of links between this node and its hub, with one end in each.
fn link(node: &NodeName, uplink: &Uplink, hub: &NetNs) -> Result<(), String> {
    let near: LinkName = NODE_LINK.parse().expect("a link name");
    let far = hub_link(node).map_err(|error| error.to_string())?;
    pair(&near, &far, uplink, hub).map_err(|error| error.to_string())
}

fn pair(near: &LinkName, far: &LinkName, uplink: &Uplink, hub: &NetNs) -> Result<(), LinkError> {
    let here = Links::open()?;
    let there = Links::open_in(hub)?;
    // Of a node that died; its namespace takes the link along, but not at once.
    there.delete(far)?;
    here.create_veth(near, far, hub.as_fd())?;
    for (links, link, address) in [
        (&there, far, uplink.hub_address()),
        (&here, near, uplink.node_address()),
    ] {
        links.add_address(link, IpAddr::V4(address), PREFIX)?;
        links.set_up(link)?;
    }
    here.add_route(
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        0,
        IpAddr::V4(uplink.hub_address()),
    )
}
