//! Messages are delivered as late as possible.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::slice::from_ref;

use super::event::Event;
use super::{Rules, Scope, World};
use crate::core::*;

/// A message on its way: a drive's proposal, an attempt's choice or a recovery's question, by position.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Message {
    Proposal(usize),
    Choice(usize),
    Question(usize),
}

/// What has arrived at a replica since a state, and what became of the replica.
#[derive(Clone)]
pub(super) struct Arrived {
    pub(super) replica: Rc<Acceptor>,
    /// By whose proposal's position, the dependency that was answered.
    votes: Vec<(usize, Index)>,
    /// Positions of the attempts whose choices were accepted.
    accepted: Vec<usize>,
    /// To which recovery's question, by position, what was reported.
    reports: Vec<(usize, Report)>,
    /// What has not yet made a difference to anything after it.
    idle: Vec<Event>,
}

impl Arrived {
    /// Nothing.
    pub(super) fn nothing(at: &Rc<Acceptor>) -> Self {
        Self {
            replica: Rc::clone(at),
            votes: Vec::new(),
            accepted: Vec::new(),
            reports: Vec::new(),
            idle: Vec::new(),
        }
    }

    /// Where.
    pub(super) fn at(&self) -> ReplicaId {
        self.replica.me()
    }

    /// What was answered to the proposal of a drive.
    pub(super) fn vote(&self, position: usize) -> Option<Index> {
        let vote = self.votes.iter().find(|(of, _)| *of == position);
        vote.map(|(_, dep)| *dep)
    }

    /// What was reported to a recovery.
    pub(super) fn report(&self, position: usize) -> Option<&Report> {
        let report = self.reports.iter().find(|(of, _)| *of == position);
        report.map(|(_, report)| report)
    }

    /// What was answered. What the replica knows follows from that.
    fn answers(&self) -> (Vec<(usize, Index)>, Vec<usize>, Vec<usize>) {
        let reported = self.reports.iter().map(|(position, _)| *position);
        (
            self.votes.clone(),
            self.accepted.clone(),
            reported.collect(),
        )
    }
}

/// What a replica tells, after what has arrived there.
#[derive(Clone)]
pub(super) struct Answer<T> {
    pub(super) after: Arrived,
    pub(super) told: T,
}

/// What may arrive at replicas, by what they know and what is on its way: the same comes again in many states.
#[derive(Default)]
pub(super) struct Arrivals(BTreeMap<u64, Rc<[Arrived]>>);

impl Arrivals {
    /// Some gigabytes.
    const MOST: usize = 20_000;

    fn at(
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
    /// What a message does where it arrives.
    fn event(&self, message: Message) -> Event {
        match message {
            Message::Proposal(position) => {
                let drive = &self.drives[position];
                Event::FastAccept(drive.place, drive.vote.proposed)
            }
            Message::Choice(position) => Event::Accept(self.accepting[position].place),
            Message::Question(position) => Event::Prepare(self.recoveries[position].place),
        }
    }

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
        (at, messages).hash(&mut hasher);
        for drive in &self.drives {
            (drive.place, drive.vote.proposed, drive.answer(at.me())).hash(&mut hasher);
        }
        for attempt in &self.accepting {
            let has_accepted = attempt.accepted.contains(&at.me());
            (attempt.place, attempt.ballot, &attempt.choice, has_accepted).hash(&mut hasher);
        }
        for recovery in &self.recoveries {
            let has_reported = recovery.report(at.me()).is_some();
            let place = recovery.place;
            (
                place,
                recovery.ballot,
                has_reported,
                self.drive_at(place).is_some(),
            )
                .hash(&mut hasher);
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

    /// After what has arrived one more message does, in the ways in which it may be answered; none if it is refused, which
    /// is as if it were lost.
    pub(super) fn deliver(
        &self,
        message: Message,
        arrived: &Arrived,
        rules: &Rules,
    ) -> Vec<Arrived> {
        if !self.would_heed(message, arrived) {
            return Vec::new();
        }
        let mut next = arrived.clone();
        let happened = self.event(message);
        next.idle.retain(|earlier| !earlier.conflicts(happened));
        next.idle.push(happened);
        next.idle.sort_unstable();
        match message {
            Message::Proposal(position) => {
                let votes = self.votes(position, &next.replica);
                let answered = votes.into_iter().map(|(dep, replica)| {
                    let mut votes = next.votes.clone();
                    votes.push((position, dep));
                    votes.sort_unstable();
                    Arrived {
                        replica,
                        votes,
                        ..next.clone()
                    }
                });
                answered.collect()
            }
            Message::Choice(position) => {
                if self.accept(position, &mut next.replica, rules).is_none() {
                    return Vec::new();
                }
                next.accepted.push(position);
                next.accepted.sort_unstable();
                vec![next]
            }
            Message::Question(position) => {
                let recovery = &self.recoveries[position];
                let (role, index) = recovery.place;
                let asked = Rc::make_mut(&mut next.replica);
                let Ok(report) = asked.prepare(role, index, recovery.ballot) else {
                    return Vec::new();
                };
                next.reports.push((position, report));
                next.reports.sort_by_key(|(position, _)| *position);
                vec![next]
            }
        }
    }

    /// Whether a message is new to a replica and not refused.
    fn would_heed(&self, message: Message, arrived: &Arrived) -> bool {
        match message {
            Message::Proposal(position) => {
                arrived.vote(position).is_none()
                    && self.drives[position].is_open_at(&arrived.replica)
            }
            Message::Choice(position) => {
                !arrived.accepted.contains(&position)
                    && self.accepting[position].is_open_at(&arrived.replica)
            }
            Message::Question(position) => {
                let recovery = &self.recoveries[position];
                arrived.report(position).is_none()
                    && recovery.report(arrived.at()).is_none()
                    && self.drive_at(recovery.place).is_some()
            }
        }
    }

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

    /// The state after all this.
    pub(super) fn with<'a>(&self, arrived: impl IntoIterator<Item = &'a Arrived>) -> Self {
        let mut world = self.clone();
        for Arrived {
            replica,
            votes,
            accepted,
            reports,
            ..
        } in arrived
        {
            let at = replica.me();
            world.replicas[at.0 as usize] = Rc::clone(replica);
            for (position, dep) in votes {
                Rc::make_mut(&mut world.drives[*position]).hear(at, *dep);
            }
            for position in accepted {
                world.has_accepted(*position, at);
            }
            for (position, report) in reports {
                let recovery = Rc::make_mut(&mut world.recoveries[*position]);
                recovery.reports.push((at, report.clone()));
                recovery.reports.sort_by_key(|(id, _)| *id);
            }
        }
        world
    }
}
