//! How anybody takes over an entry.

use super::deliver::{Arrived, Message};
use super::steps::{Answer, Steps};
use super::{Place, World};
use crate::core::*;

/// An attempt at finding out what may be decided. Who makes it does not matter: a replica that does answers like others,
/// and what it does with its own answer it may as well do as another.
#[derive(Clone)]
pub(super) struct Recovery {
    pub(super) place: Place,
    pub(super) ballot: Ballot,
    /// What replicas have told, each when it promised.
    pub(super) reports: Vec<(ReplicaId, Report)>,
}

impl Recovery {
    pub(super) fn new(place: Place, view: View, round: u32) -> Self {
        let proposer = ReplicaId(u32::MAX);
        Self {
            place,
            ballot: Ballot {
                view,
                round,
                proposer,
            },
            reports: Vec::new(),
        }
    }

    pub(super) fn report(&self, of: ReplicaId) -> Option<&Report> {
        let report = self.reports.iter().find(|(id, _)| *id == of);
        report.map(|(_, report)| report)
    }
}

impl Steps<'_> {
    /// Something is chosen from the reports of any majority: what is chosen from more reports is chosen from a majority of
    /// them too.
    pub(super) fn recover(&self, position: usize, out: &mut Vec<World>) {
        let Recovery { place, ballot, .. } = *self.world.recoveries[position];
        let quorums = self.world.quorums();
        let Some(drive) = self.world.drive_at(place) else {
            return;
        };
        let part = |report: &Report| drive.part_of_report(report, self.scope);
        for reports in self.gather(quorums.majority(), |id| self.reports(position, id), part) {
            if reports.len() < quorums.majority() {
                continue;
            }
            let told = reports.iter().map(|it| (it.after.at(), it.told.clone()));
            let choice = (self.rules.choose)(quorums, &told.collect::<Vec<_>>());
            let mut world = self.world.with(reports.iter().map(|report| &report.after));
            world.recoveries.remove(position);
            world.begin_to_accept(place, ballot, choice);
            out.push(world);
        }
    }

    /// What a replica may report or has reported.
    fn reports(&self, position: usize, of: ReplicaId) -> Vec<Answer<Report>> {
        if let Some(told) = self.world.recoveries[position].report(of) {
            let after = Arrived::nothing(&self.world.replicas[of.0 as usize]);
            let told = told.clone();
            return vec![Answer { after, told }];
        }
        let heard = self.hearing(Message::Question(position), of).into_iter();
        let with_report = heard.filter_map(|after| Some((after.report(position)?.clone(), after)));
        let answers = with_report.map(|(told, after)| Answer { after, told });
        answers.collect()
    }
}
