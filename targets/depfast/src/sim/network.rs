//! Messages between nodes: each travels alone and may be late, lost, doubled or overtaken.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Weak;
use std::time::Duration;

use bytes::Bytes;

use super::world::World;
use crate::env::{Frame, SendError, Ticket, Transport};
use crate::id::NodeId;

/// How messages travel in one direction between two nodes.
#[derive(Clone, Debug)]
pub struct Link {
    /// How long a message takes; messages overtake each other within this range.
    pub delay: Range<Duration>,
    /// The probability that a message is lost.
    pub loss: f64,
    /// The probability that a message arrives twice.
    pub duplication: f64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_micros(100)..Duration::from_micros(500),
            loss: 0.0,
            duplication: 0.0,
        }
    }
}

#[derive(Default)]
pub(super) struct Network {
    pub(super) default: Link,
    pub(super) links: BTreeMap<(NodeId, NodeId), Link>,
    pub(super) island: Vec<NodeId>,
    /// Ways that lead nowhere, each in one direction.
    pub(super) cuts: BTreeSet<(NodeId, NodeId)>,
}

impl Network {
    pub(super) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.island.contains(&from) != self.island.contains(&to) || self.cuts.contains(&(from, to))
    }

    pub(super) fn link(&self, from: NodeId, to: NodeId) -> &Link {
        self.links.get(&(from, to)).unwrap_or(&self.default)
    }
}

pub(super) struct NodeTransport {
    pub(super) world: Weak<World>,
    pub(super) node: NodeId,
    pub(super) epoch: u64,
}

impl Transport for NodeTransport {
    fn send(&self, to: NodeId, frame: Frame) -> Result<Ticket, SendError> {
        let world = self.world.upgrade().ok_or(SendError::Disconnected)?;
        if !world.is_alive(self.node, self.epoch) {
            return Err(SendError::Disconnected);
        }
        let from = self.node;
        // The length in front is for streams; here every message stands for itself.
        let message = Bytes::from(frame.concat()).slice(4..);
        let network = world.network.borrow();
        let link = network.link(from, to);
        let mut rng = world.rng.borrow_mut();
        let copies = if rng.chance(link.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            let lost = rng.chance(link.loss);
            let delay = rng.duration(&link.delay);
            if lost || network.is_cut(from, to) {
                continue;
            }
            let message = message.clone();
            world.schedule(delay, move |world| {
                world.on_cpu(to, move |world| {
                    if let Some(inbox) = world.inbox(to) {
                        inbox.deliver(from, message);
                    }
                });
            });
        }
        Ok(0)
    }

    // A simulated node has no queue: what it sends has left it.
    fn withdraw(&self, _to: NodeId, _ticket: Ticket) -> bool {
        false
    }

    // The simulated network reaches everyone by name.
    fn add_peer(&self, _id: NodeId, _address: String) {}

    fn remove_peer(&self, _id: NodeId) {}
}
