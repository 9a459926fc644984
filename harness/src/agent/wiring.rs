//! Which link and which disk of its machine a node uses: found, or named.

use std::collections::BTreeSet;
use std::net::IpAddr;

use faults::FaultLink;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use node::blockdev::WholeDisk;

use super::options::{Isolation, Named};
use super::wire::FaultOrder;

/// The name of the link of a node, as the node sees it.
pub(super) const NODE_LINK: &str = "eth0";

/// The link that a network fault of `order` is about, seen from this site.
pub(super) fn fault_link(
    isolation: &Isolation,
    order: &FaultOrder,
) -> Result<Option<FaultLink>, String> {
    let link = match isolation {
        Isolation::None => return Ok(None),
        Isolation::Machine { peers, named, .. } => {
            let device = match &named.interface {
                Some(interface) => interface.clone(),
                None => link_of(order.address)?,
            };
            FaultLink {
                device: device.parse().map_err(|error| format!("{error}"))?,
                peer: peer_of(order.address, peers)?,
            }
        }
        Isolation::Node { uplink, .. } => FaultLink {
            device: NODE_LINK.parse().expect("a link name"),
            peer: uplink.hub_address().into(),
        },
        Isolation::Hub(_) => {
            let device =
                super::options::hub_link(&order.victim).map_err(|error| error.to_string())?;
            FaultLink {
                device,
                peer: order.address,
            }
        }
    };
    Ok(Some(link))
}

/// The link of this machine that has an address.
fn link_of(address: IpAddr) -> Result<String, String> {
    let has_it = |link: &InterfaceAddress| {
        let Some(found) = link.address.as_ref() else {
            return false;
        };
        let four = found.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let six = found.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        four.or(six) == Some(address)
    };
    let link = links()?.into_iter().find(has_it).ok_or_else(|| {
        format!("no link of this machine has the address {address}: is `data_address` right?")
    })?;
    Ok(link.interface_name)
}

/// A peer to measure round trips to from an address.
fn peer_of(address: IpAddr, peers: &[IpAddr]) -> Result<IpAddr, String> {
    let is_alike = |peer: &&IpAddr| peer.is_ipv4() == address.is_ipv4();
    let peer = peers.iter().find(is_alike).copied();
    peer.ok_or_else(|| "there is no other node to measure round trips to".to_owned())
}

fn links() -> Result<Vec<InterfaceAddress>, String> {
    let links = getifaddrs();
    let links = links.map_err(|error| format!("cannot list the links of this machine: {error}"))?;
    Ok(links.collect())
}

/// What is named of this machine.
pub(super) fn named(isolation: &Isolation) -> Named {
    match isolation {
        Isolation::Machine { named, .. } => named.clone(),
        Isolation::None | Isolation::Hub(_) | Isolation::Node { .. } => Named::default(),
    }
}

/// Whether there is what is named of this machine.
pub(super) fn check(isolation: &Isolation) -> Result<(), String> {
    let Named { interface, device } = named(isolation);
    if let Some(interface) = interface {
        let known: BTreeSet<String> = links()?
            .into_iter()
            .map(|link| link.interface_name)
            .collect();
        if !known.contains(&interface) {
            let known: Vec<String> = known.into_iter().collect();
            let known = known.join(", ");
            return Err(format!("there is no interface `{interface}`, only {known}"));
        }
    }
    match device.map(|device| WholeDisk::named(&device)) {
        Some(Err(error)) => Err(error.to_string()),
        Some(Ok(_)) | None => Ok(()),
    }
}
