//! How anybody takes over an entry.

use super::accept::{Accepting, majorities};
use super::{Place, Rules, World};
use crate::core::*;

/// A recovery.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Recovery {
    pub(super) place: Place,
    pub(super) ballot: Ballot,
    pub(super) reports: Vec<(ReplicaId, Report)>,
    pub(super) asked: Vec<ReplicaId>,
    pub(super) accepting: Option<Accepting>,
}

impl World {
    pub(super) fn take_over(&self, out: &mut Vec<Self>) {
        for drive in &self.drives {
            for replica in &self.replicas {
                let (role, index) = drive.place;
                let mut world = self.clone();
                world.takeovers += 1;
                let acceptor = world.at(replica.me());
                let ballot = acceptor.next_ballot(role, index);
                let Ok(report) = acceptor.prepare(role, index, ballot) else {
                    continue;
                };
                world.recoveries.push(Recovery {
                    place: drive.place,
                    ballot,
                    reports: vec![(replica.me(), report)],
                    asked: vec![replica.me()],
                    accepting: None,
                });
                out.push(world);
            }
        }
    }

    pub(super) fn recover(&self, position: usize, rules: &Rules, out: &mut Vec<Self>) {
        let recovery = &self.recoveries[position];
        let ((role, index), me) = (recovery.place, recovery.ballot.proposer);
        if let Some(accepting) = &recovery.accepting {
            return self.accept(accepting, recovery.place, rules, out, |world, accepting| {
                world.recoveries[position].accepting = Some(accepting);
            });
        }
        for replica in &self.replicas {
            let id = replica.me();
            if recovery.asked.contains(&id) {
                continue;
            }
            let mut world = self.clone();
            world.recoveries[position].asked.push(id);
            world.recoveries[position].asked.sort_unstable();
            match world.at(id).prepare(role, index, recovery.ballot) {
                Ok(report) => world.recoveries[position].reports.push((id, report)),
                Err(Refusal::Committed(commit)) => {
                    world.at(me).commit(role, index, commit);
                }
                Err(_) => {}
            }
            world.recoveries[position]
                .reports
                .sort_by_key(|(id, _)| *id);
            out.push(world);
        }
        let quorums = self.replicas[0].quorums();
        for reports in majorities(&recovery.reports, me, quorums) {
            let mut world = self.clone();
            let choice = (rules.choose)(quorums, &reports);
            let accepting =
                world.begin_to_accept(me, recovery.place, recovery.ballot, choice, rules);
            if accepting.is_some() {
                world.recoveries[position].accepting = accepting;
                out.push(world);
            }
        }
    }
}
