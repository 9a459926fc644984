//! How anybody takes over an entry.

use super::event::Event;
use super::{Place, Rules, World};
use crate::core::*;

/// A recovery that has not chosen yet.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    pub(super) place: Place,
    pub(super) ballot: Ballot,
    pub(super) own: Report,
}

impl World {
    pub(super) fn take_over(&self, rules: &Rules, out: &mut Vec<Self>) {
        for place in self.drives.iter().map(|drive| drive.place) {
            for me in self.ids() {
                for mut world in self.before(Event::Prepare(place), me, None, rules) {
                    let (role, index) = place;
                    world.takeovers += 1;
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
    pub(super) fn recover(&self, position: usize, rules: &Rules, out: &mut Vec<Self>) {
        let Recovery { place, ballot, own } = self.recoveries[position].clone();
        let (me, quorums) = (ballot.proposer, self.quorums());
        let mut found = vec![(self.clone(), vec![(me, own)])];
        for id in self.ids().filter(|id| *id != me) {
            let mut more = Vec::new();
            for (world, reports) in &found {
                for mut world in world.before(Event::Prepare(place), id, None, rules) {
                    match world.at(id).prepare(place.0, place.1, ballot) {
                        Ok(report) => {
                            let mut reports = reports.clone();
                            reports.push((id, report));
                            more.push((world, reports));
                        }
                        Err(Refusal::Committed(commit)) if reports.len() == 1 => {
                            for mut world in world.before(Event::Commit(place), me, None, rules) {
                                world.at(me).commit(place.0, place.1, commit.clone());
                                out.push(world);
                            }
                        }
                        Err(_) => {}
                    }
                }
            }
            found.extend(more);
        }
        for (world, reports) in found {
            if reports.len() < quorums.majority() {
                continue;
            }
            let choice = (rules.choose)(quorums, &reports);
            for mut world in world.before(Event::Accept(place), me, None, rules) {
                world.recoveries.remove(position);
                if world.begin_to_accept(place, ballot, choice.clone(), rules) {
                    out.push(world);
                }
            }
        }
    }
}
