//! What may arrive at a replica before something that depends on it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::deliver::{Arrived, Message};
use super::{Rules, Scope, World};
use crate::core::*;

/// What may arrive at replicas, by what they know and what is on its way: the same comes again in many states.
#[derive(Default)]
pub(super) struct Arrivals(BTreeMap<u64, Rc<[Arrived]>>);

impl Arrivals {
    /// Bounds the memory that a search takes.
    const MOST: usize = 20_000;

    pub(super) fn at(
        &mut self,
        world: &World,
        at: &Rc<Acceptor>,
        scope: &Scope,
        rules: &Rules,
    ) -> Rc<[Arrived]> {
        if self.0.len() > Self::MOST {
            self.0.clear();
        }
        let messages = world.messages(at, scope);
        let known = self.0.entry(world.hash_of_messages(at, &messages));
        let arrivals = known.or_insert_with(|| world.arrivals(at, &messages, rules).into());
        Rc::clone(arrivals)
    }
}

impl World {
    /// The messages that make a difference to a replica that may still matter.
    fn messages(&self, at: &Acceptor, scope: &Scope) -> Vec<Message> {
        let votes = self.votes_to_come(at, scope);
        let proposals = self.drives.iter().enumerate();
        let proposals =
            proposals.filter(|(_, drive)| votes.iter().any(|vote| vote.place == drive.place));
        let choices = self.accepting.iter().enumerate().filter(|(_, attempt)| {
            let place = attempt.place;
            self.may_be_asked(place, scope)
                || self.is_contended(place)
                || votes.iter().any(|vote| vote.looks_at(place))
        });
        let questions = (0..self.recoveries.len()).map(Message::Question);
        let proposals = proposals.map(|(position, _)| Message::Proposal(position));
        let choices = choices.map(|(position, _)| Message::Choice(position));
        proposals.chain(choices).chain(questions).collect()
    }

    /// What the messages are that a replica may get, and what it knows.
    fn hash_of_messages(&self, at: &Acceptor, messages: &[Message]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (at, messages, self.drives.len(), self.accepting.len()).hash(&mut hasher);
        for drive in &self.drives {
            (drive.place, drive.vote.proposed, drive.answer(at.me())).hash(&mut hasher);
        }
        for attempt in &self.accepting {
            let has_accepted = attempt.accepted.contains(&at.me());
            (attempt.place, attempt.ballot, &attempt.choice, has_accepted).hash(&mut hasher);
        }
        for recovery in &self.recoveries {
            let place = recovery.place;
            let has_reported = recovery.report(at.me()).is_some();
            (place, recovery.ballot, has_reported).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// All that may arrive at a replica, in every order that makes a difference.
    fn arrivals(&self, at: &Rc<Acceptor>, messages: &[Message], rules: &Rules) -> Vec<Arrived> {
        let mut seen = BTreeSet::new();
        let mut found = vec![Arrived::nothing(at)];
        let mut position = 0;
        while position < found.len() {
            for message in messages {
                for next in self.deliver(*message, &found[position], rules) {
                    if seen.insert((next.answers(), next.idle.clone())) {
                        found.push(next);
                    }
                }
            }
            position += 1;
        }
        found
    }
}
