//! What messages do where they arrive.

use std::rc::Rc;

use super::event::Event;
use super::{Rules, World};
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
    pub(super) votes: Vec<(usize, Index)>,
    /// Positions of the attempts whose choices were accepted.
    accepted: Vec<usize>,
    /// To which recovery's question, by position, what was reported.
    pub(super) reports: Vec<(usize, Report)>,
    /// What has not yet made a difference to anything after it.
    pub(super) idle: Vec<Event>,
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
    pub(super) fn answers(&self) -> (Vec<(usize, Index)>, Vec<usize>, Vec<usize>) {
        let reported = self.reports.iter().map(|(position, _)| *position);
        (
            self.votes.clone(),
            self.accepted.clone(),
            reported.collect(),
        )
    }
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
            Message::Question(position) => Event::Prepare(self.recoveries[position].place),
        }
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
