//! Messages are delivered as late as possible.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::event::Event;
use super::{Rules, World};
use crate::core::*;

/// A message on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// The proposal of the drive at this position.
    Proposal(usize),
    /// What is to be accepted, at this position.
    Choice(usize),
}

impl World {
    /// What a message does where it arrives.
    pub(super) fn event(&self, message: Message) -> Event {
        match message {
            Message::Proposal(position) => {
                let drive = &self.drives[position];
                Event::FastAccept(drive.place, drive.vote.proposed)
            }
            Message::Choice(position) => Event::Accept(self.accepting[position].place),
        }
    }

    /// What has not arrived at a replica. Promises are asked for where they are needed: they only make it refuse.
    fn on_their_way(&self, to: ReplicaId) -> Vec<Message> {
        let proposals = (0..self.drives.len())
            .filter(|drive| self.drives[*drive].answer(to).is_none())
            .map(Message::Proposal);
        let choices = (0..self.accepting.len())
            .filter(|accepting| !self.accepting[*accepting].accepted.contains(&to))
            .map(Message::Choice);
        proposals.chain(choices).collect()
    }

    /// The state after a message has arrived; `None` if it is refused, which is as if it were lost.
    fn deliver(&self, message: Message, to: ReplicaId, rules: &Rules) -> Option<Self> {
        let mut world = self.clone();
        let heeded = match message {
            Message::Proposal(position) => world.vote(position, to),
            Message::Choice(position) => world.accept(position, to, rules),
        };
        heeded.then_some(world)
    }

    /// The states in which an event may find a replica: all orders in which messages arrive there that lead to it.
    pub(super) fn before(
        &self,
        event: Event,
        at: ReplicaId,
        except: Option<Message>,
        rules: &Rules,
    ) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        // Each with what has happened and has not yet made a difference to anything after it.
        let mut stack = vec![(self.clone(), Vec::new())];
        while let Some((world, idle)) = stack.pop() {
            for message in world.on_their_way(at) {
                let Some(next) = (Some(message) != except)
                    .then(|| world.deliver(message, at, rules))
                    .flatten()
                else {
                    continue;
                };
                let happened = world.event(message);
                let mut idle: Vec<Event> = idle.clone();
                idle.retain(|earlier| !earlier.conflicts(happened));
                idle.push(happened);
                idle.sort_unstable();
                if seen.insert(local_state(&next, at, &idle)) {
                    stack.push((next, idle));
                }
            }
            if idle.iter().all(|earlier| earlier.conflicts(event)) {
                found.push(world);
            }
        }
        found
    }

    /// The states after a message has arrived at a replica, whatever arrived there before.
    pub(super) fn hearing(&self, message: Message, at: ReplicaId, rules: &Rules) -> Vec<Self> {
        self.before(self.event(message), at, Some(message), rules)
            .into_iter()
            .filter_map(|world| world.deliver(message, at, rules))
            .collect()
    }
}

fn local_state(world: &World, at: ReplicaId, idle: &[Event]) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.replicas[at.0 as usize].hash(&mut hasher);
    for drive in &world.drives {
        drive.answer(at).hash(&mut hasher);
    }
    for accepting in &world.accepting {
        accepting.accepted.contains(&at).hash(&mut hasher);
    }
    idle.hash(&mut hasher);
    hasher.finish()
}
