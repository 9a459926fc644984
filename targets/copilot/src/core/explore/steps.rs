//! Messages are delivered as late as possible: before a step that needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::slice::from_ref;

use super::arrivals::Arrivals;
use super::deliver::{Arrived, Message};
use super::event::Event;
use super::{Rules, Scope, World};
use crate::core::*;

/// What a replica tells, after what has arrived there.
#[derive(Clone)]
pub(super) struct Answer<T> {
    pub(super) after: Arrived,
    pub(super) told: T,
}

/// A state from which steps are taken, with all that may arrive before them.
pub(super) struct Steps<'a> {
    pub(super) world: &'a World,
    pub(super) rules: &'a Rules,
    pub(super) scope: &'a Scope,
    arrivals: Vec<Rc<[Arrived]>>,
}

impl<'a> Steps<'a> {
    pub(super) fn from(
        world: &'a World,
        scope: &'a Scope,
        rules: &'a Rules,
        known: &mut Arrivals,
    ) -> Self {
        let replicas = world.replicas.iter();
        Self {
            world,
            rules,
            arrivals: replicas
                .map(|at| known.at(world, at, scope, rules))
                .collect(),
            scope,
        }
    }

    /// What may have arrived at a replica when an event happens there.
    pub(super) fn before(&self, event: Event, at: ReplicaId) -> impl Iterator<Item = &Arrived> {
        let arrivals = self.arrivals[at.0 as usize].iter();
        arrivals.filter(move |arrived| arrived.idle.iter().all(|it| it.conflicts(event)))
    }

    /// The ways in which a message may arrive at a replica, with what arrives there before.
    pub(super) fn hearing(&self, message: Message, at: ReplicaId) -> Vec<Arrived> {
        let mut seen = BTreeSet::new();
        self.before(self.world.event(message), at)
            .flat_map(|arrived| self.world.deliver(message, arrived, self.rules))
            .filter(|next| seen.insert(next.answers()))
            .collect()
    }

    /// All sets of up to so many replicas with an answer of each; of those that differ in names only, or in nothing that can
    /// still matter, one.
    pub(super) fn gather<T, P: Hash>(
        &self,
        most: usize,
        answers: impl Fn(ReplicaId) -> Vec<Answer<T>>,
        part: impl Fn(&T) -> P,
    ) -> Vec<Vec<Rc<Answer<T>>>> {
        let name = |answer: &Answer<T>| {
            let before = self.world.state(answer.after.at(), self.scope);
            let after = self.world.outcome(&answer.after, self.scope);
            let mut hasher = DefaultHasher::new();
            (before, after, part(&answer.told)).hash(&mut hasher);
            hasher.finish()
        };
        let mut found = vec![(Vec::new(), Vec::new())];
        let mut seen = BTreeSet::new();
        for id in self.world.ids() {
            let answers = answers(id).into_iter();
            let answers: BTreeMap<u64, _> = answers.map(|it| (name(&it), Rc::new(it))).collect();
            let mut more = Vec::new();
            for (those, names) in found.iter().filter(|(those, _)| those.len() < most) {
                for (name, answer) in &answers {
                    let mut names: Vec<u64> = [&names[..], from_ref(name)].concat();
                    names.sort_unstable();
                    if seen.insert(names.clone()) {
                        more.push(([&those[..], from_ref(answer)].concat(), names));
                    }
                }
            }
            found.extend(more);
        }
        found.into_iter().map(|(those, _)| those).collect()
    }
}

impl World {
    /// What comes of what arrived at a replica; the same if the difference is nothing but a follower's name.
    fn outcome(&self, after: &Arrived, scope: &Scope) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.with([after])
            .state(after.at(), scope)
            .hash(&mut hasher);
        for (position, dep) in &after.votes {
            let drive = &self.drives[*position];
            if !drive.over {
                (position, drive.part(*dep, scope)).hash(&mut hasher);
            }
        }
        for (position, report) in &after.reports {
            let place = self.recoveries[*position].place;
            let drive = self.drive_at(place);
            let part = drive.map(|drive| drive.part_of_report(report, scope));
            (position, part).hash(&mut hasher);
        }
        hasher.finish()
    }
}
