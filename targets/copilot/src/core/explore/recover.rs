//! How anybody takes over an entry.

use std::rc::Rc;
use std::slice::from_ref;

use super::deliver::{Arrived, Steps};
use super::event::Event;
use super::{Place, World};
use crate::core::*;

/// A recovery that has not chosen yet.
#[derive(Clone)]
pub(super) struct Recovery {
    pub(super) place: Place,
    pub(super) ballot: Ballot,
    pub(super) own: Report,
}

impl Steps<'_> {
    pub(super) fn take_over(&self, out: &mut Vec<World>) {
        let takeovers = &self.world.takeovers;
        for (position, place @ (role, index)) in takeovers.iter().copied().enumerate() {
            let is_proposed = self.world.drives.iter().any(|drive| drive.place == place);
            if !is_proposed || takeovers[..position].contains(&place) {
                continue;
            }
            for me in self.world.ids() {
                for arrived in self.before(Event::Prepare(place), me) {
                    let mut world = self.world.with([arrived]);
                    world.takeovers.remove(position);
                    let acceptor = world.at(me);
                    let ballot = acceptor.next_ballot(role, index);
                    let Ok(own) = acceptor.prepare(role, index, ballot) else {
                        continue;
                    };
                    world.recoveries.push(Recovery { place, ballot, own });
                    let key = |recovery: &Recovery| (recovery.place, recovery.ballot);
                    world.recoveries.sort_by_key(key);
                    out.push(world);
                }
            }
        }
    }

    /// Whoever recovers chooses from the reports of any majority, or hears of a decision.
    pub(super) fn recover(&self, position: usize, out: &mut Vec<World>) {
        let Recovery { place, ballot, own } = self.world.recoveries[position].clone();
        let (role, index) = place;
        let (me, quorums) = (ballot.proposer, self.world.quorums());
        let mut found = vec![(Vec::<Arrived>::new(), vec![(me, own)])];
        for id in self.world.ids().filter(|id| *id != me) {
            let mut answers = Vec::new();
            for arrived in self.before(Event::Prepare(place), id) {
                let mut asked = arrived.clone();
                match Rc::make_mut(&mut asked.replica).prepare(role, index, ballot) {
                    Ok(report) => answers.push((asked, (id, report))),
                    Err(Refusal::Committed(commit)) => {
                        for mine in self.before(Event::Commit(place), me) {
                            let mut world = self.world.with([&asked, mine]);
                            world.at(me).commit(role, index, commit.clone());
                            out.push(world);
                        }
                    }
                    Err(_) => {}
                }
            }
            let with_it = |(those, reports): &(Vec<Arrived>, Vec<(ReplicaId, Report)>)| {
                let with = |(one, report): &(Arrived, (ReplicaId, Report))| {
                    let those = [&those[..], from_ref(one)].concat();
                    (those, [&reports[..], from_ref(report)].concat())
                };
                answers.iter().map(with).collect::<Vec<_>>()
            };
            let more: Vec<_> = found.iter().flat_map(with_it).collect();
            found.extend(more);
        }
        for (those, reports) in found {
            if reports.len() < quorums.majority() {
                continue;
            }
            let choice = (self.rules.choose)(quorums, &reports);
            for mine in self.before(Event::Accept(place), me) {
                let mut world = self.world.with(those.iter().chain([mine]));
                world.recoveries.remove(position);
                if world.begin_to_accept(place, ballot, choice.clone(), self.rules) {
                    out.push(world);
                }
            }
        }
    }
}
