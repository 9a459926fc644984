use std::net::IpAddr;
use std::time::Duration;

use crate::context::FaultLink;
use crate::echo::{Volley, echo};
use crate::error::FaultError;
use crate::flow::{Flow, Peers};
use crate::impairment::Impairment;
use crate::reading::{Probe, Reading};
use crate::spec::Direction;

/// Sends echoes over a link and tells what became of them.
pub(super) struct LinkProbe {
    target: Option<IpAddr>,
    volley: Volley,
    patience: Duration,
}

/// Where echoes are sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// The node, from which any of its peers can be reached.
    Node,
    /// The hub, which is one of the node's peers only if everyone is.
    Hub,
}

impl LinkProbe {
    /// Over `link` from `stand`, for what an impairment does.
    pub(super) fn of_impairment(
        link: &FaultLink,
        flow: &Flow,
        stand: Stand,
        impairment: &Impairment,
    ) -> LinkProbe {
        let (volley, spare) = match impairment {
            Impairment::Delay(_) | Impairment::Rate(_) => (Volley::FEW, Duration::from_secs(1)),
            Impairment::Loss(_)
            | Impairment::Reorder(_)
            | Impairment::Duplicate(_)
            | Impairment::Corrupt(_) => (Volley::MANY, Duration::from_millis(300)),
        };
        LinkProbe {
            target: target(link, flow, stand),
            volley,
            patience: spare + 2 * impairment.longest(),
        }
    }

    /// Over `link` from `stand`, for whether anything comes through at all.
    pub(super) fn of_partition(
        link: &FaultLink,
        flow: &Flow,
        stand: Stand,
        direction: Direction,
    ) -> LinkProbe {
        // What the hub itself sends is not forwarded, and so not cut off.
        let is_cut = (stand, direction) != (Stand::Hub, Direction::In);
        LinkProbe {
            target: target(link, flow, stand).filter(|_| is_cut),
            volley: Volley::FEW,
            patience: Duration::from_millis(500),
        }
    }

    /// What became of the echoes; nothing when no echo can go the way of the flow from here.
    pub(super) fn probe(&self) -> Result<Vec<Reading>, FaultError> {
        let Some(target) = self.target else {
            return Ok(Vec::new());
        };
        let echoes = match echo(target, self.volley, self.patience) {
            // The fault's own rule refuses what is sent from the very node it cuts off.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && is_root() => {
                return Ok(vec![Probe::LostEchoes.reading(100.0)]);
            }
            echoes => echoes.map_err(FaultError::system(format!("send an echo to {target}")))?,
        };
        let mut readings = vec![
            Probe::LostEchoes.reading(100.0 * echoes.lost()),
            Probe::DuplicatedEchoes.reading(100.0 * echoes.duplicated()),
            Probe::OvertakenEchoes.reading(100.0 * echoes.overtaken()),
        ];
        let median = echoes.median().map(|median| median.as_secs_f64() * 1e3);
        readings.extend(median.map(|median| Probe::RoundTrip.reading(median)));
        Ok(readings)
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whom to send echoes to, so that they go the way that the fault is about.
fn target(link: &FaultLink, flow: &Flow, stand: Stand) -> Option<IpAddr> {
    match (&flow.peers, stand) {
        (Peers::Everyone, _) if !flow.exempt.contains(&link.peer) => Some(link.peer),
        (Peers::Only(peers), Stand::Node) => {
            let hit = |peer: &&IpAddr| !flow.exempt.contains(peer);
            peers.iter().find(hit).copied()
        }
        _ => None,
    }
}
