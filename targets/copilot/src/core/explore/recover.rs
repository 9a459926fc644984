//! How anybody takes over an entry.

use std::rc::Rc;

use super::deliver::{Answer, Arrived, Steps};
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
        for (position, place) in takeovers.iter().copied().enumerate() {
            let is_proposed = self.world.drives.iter().any(|drive| drive.place == place);
            if !is_proposed || takeovers[..position].contains(&place) {
                continue;
            }
            for me in self.world.ids() {
                for arrived in self.before(Event::Prepare(place), me) {
                    for round in self.world.free_rounds(place) {
                        out.extend(self.taken_over(position, arrived, round));
                    }
                }
            }
        }
    }

    /// The state in which a replica has begun to take an entry over; `None` if it knows that it may not.
    fn taken_over(&self, position: usize, arrived: &Arrived, round: u32) -> Option<World> {
        let mut world = self.world.with([arrived]);
        let place @ (role, index) = world.takeovers.remove(position);
        let acceptor = world.at(arrived.at());
        let least = acceptor.next_ballot(role, index);
        let ballot = Ballot { round, ..least };
        if ballot < least {
            return None;
        }
        let own = acceptor.prepare(role, index, ballot).ok()?;
        world.recoveries.push(Recovery { place, ballot, own });
        let key = |recovery: &Recovery| (recovery.place, recovery.ballot);
        world.recoveries.sort_by_key(key);
        world.begun.push((place, round));
        world.begun.sort_unstable();
        Some(world)
    }

    /// Whoever recovers chooses from the reports of any majority, or hears of a decision: what is chosen from more reports
    /// is chosen from a majority of them too.
    pub(super) fn recover(&self, position: usize, out: &mut Vec<World>) {
        let Recovery { place, ballot, own } = &self.world.recoveries[position];
        let (me, quorums) = (ballot.proposer, self.world.quorums());
        let others = quorums.majority() - 1;
        for reports in self.gather(others, |id| self.reports(*place, *ballot, id)) {
            if reports.len() + 1 < quorums.majority() {
                continue;
            }
            let told = reports.iter().map(|it| (it.after.at(), it.told.clone()));
            let told: Vec<_> = [(me, own.clone())].into_iter().chain(told).collect();
            let choice = (self.rules.choose)(quorums, &told);
            for mine in self.before(Event::Accept(*place), me) {
                let reports = reports.iter().map(|report| &report.after);
                let mut world = self.world.with(reports.chain([mine]));
                world.recoveries.remove(position);
                if world.begin_to_accept(*place, *ballot, choice.clone(), self.rules) {
                    out.push(world);
                }
            }
        }
        for (after, commit) in self.decisions(*place, *ballot) {
            for mine in self.before(Event::Commit(*place), me) {
                let mut world = self.world.with([&after, mine]);
                let (role, index) = *place;
                world.at(me).commit(role, index, commit.clone());
                out.push(world);
            }
        }
    }

    /// What a replica may report to whoever recovers.
    fn reports(&self, place: Place, ballot: Ballot, of: ReplicaId) -> Vec<Answer<Report>> {
        let asked = self.asked(place, ballot, of);
        let answers = asked.filter_map(|(after, told)| Some((after, told.ok()?)));
        answers
            .map(|(after, told)| Answer { after, told })
            .collect()
    }

    /// The decisions that are told to whoever recovers.
    fn decisions(&self, place: Place, ballot: Ballot) -> impl Iterator<Item = (Arrived, Commit)> {
        let of_all = self
            .world
            .ids()
            .flat_map(move |id| self.asked(place, ballot, id));
        of_all.filter_map(|(after, told)| match told {
            Err(Refusal::Committed(commit)) => Some((after, commit)),
            _ => None,
        })
    }

    /// What a replica but the one who recovers answers.
    fn asked(
        &self,
        place @ (role, index): Place,
        ballot: Ballot,
        of: ReplicaId,
    ) -> impl Iterator<Item = (Arrived, Result<Report, Refusal>)> {
        let arrived = self.before(Event::Prepare(place), of);
        let arrived = arrived.filter(move |_| of != ballot.proposer);
        arrived.map(move |arrived| {
            let mut after = arrived.clone();
            let told = Rc::make_mut(&mut after.replica).prepare(role, index, ballot);
            (after, told)
        })
    }
}
