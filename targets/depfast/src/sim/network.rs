//! Messages between nodes: each travels alone and may wait in its sender's queue, be late, lost, doubled or overtaken.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::{Rc, Weak};
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
    /// How long messages wait in the sender's queue, where they do.
    pub(super) queues: BTreeMap<(NodeId, NodeId), Range<Duration>>,
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
    pub(super) queue: Rc<RefCell<Queue>>,
}

/// What has not left a node yet.
pub(super) struct Queue {
    /// How many bytes may wait for one peer.
    limit: usize,
    last: Ticket,
    waiting: BTreeMap<Ticket, (NodeId, Bytes)>,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            last: 0,
            waiting: BTreeMap::new(),
        }
    }

    fn push(&mut self, to: NodeId, message: Bytes) -> Result<Ticket, SendError> {
        let same = self.waiting.values().filter(|(peer, _)| *peer == to);
        let waiting: usize = same.map(|(_, message)| message.len()).sum();
        if waiting + message.len() > self.limit {
            return Err(SendError::QueueFull);
        }
        self.last += 1;
        self.waiting.insert(self.last, (to, message));
        Ok(self.last)
    }
}

/// The ticket of a message that left at once.
const NEVER_WAITED: Ticket = 0;

/// Sends a message on its way.
fn travel(world: &Rc<World>, from: NodeId, to: NodeId, message: &Bytes) {
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
        let wait = world.network.borrow().queues.get(&(from, to)).cloned();
        let Some(wait) = wait else {
            travel(&world, from, to, &message);
            return Ok(NEVER_WAITED);
        };
        let ticket = self.queue.borrow_mut().push(to, message)?;
        let wait = world.rng.borrow_mut().duration(&wait);
        let (queue, epoch) = (Rc::clone(&self.queue), self.epoch);
        world.schedule(wait, move |world| {
            let left = queue.borrow_mut().waiting.remove(&ticket);
            if let Some((to, message)) = left.filter(|_| world.is_alive(from, epoch)) {
                travel(world, from, to, &message);
            }
        });
        Ok(ticket)
    }

    fn withdraw(&self, _to: NodeId, ticket: Ticket) -> bool {
        self.queue.borrow_mut().waiting.remove(&ticket).is_some()
    }

    // The simulated network reaches everyone by name.
    fn add_peer(&self, _id: NodeId, _address: String) {}

    fn remove_peer(&self, _id: NodeId) {}
}
