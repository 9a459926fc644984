//! How a pilot decides its entries.

use std::collections::BTreeSet;

use super::accept::{Accepting, majorities};
use super::{Place, Rules, World, batch};
use crate::core::*;

/// A pilot's attempt at deciding its entry.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Drive {
    pub(super) place: Place,
    pub(super) vote: Vote,
    pub(super) dep_view: View,
    /// Who was asked and what they answered.
    pub(super) answers: Vec<(ReplicaId, Index)>,
    pub(super) refused: Vec<ReplicaId>,
    pub(super) accepting: Option<Accepting>,
    pub(super) over: bool,
}

impl World {
    pub(super) fn propose(&self, role: Role, out: &mut Vec<Self>) {
        let mut world = self.clone();
        let number = self.proposed[role as usize] + 1;
        let pilot = ReplicaId(role as u32);
        let Some(proposal) = world.at(pilot).propose(role, batch(role, number)) else {
            return;
        };
        world.proposed[role as usize] = number;
        world.drives.push(Drive {
            place: (role, proposal.index),
            answers: vec![(pilot, proposal.vote.dep)],
            vote: proposal.vote,
            dep_view: proposal.dep_view,
            refused: Vec::new(),
            accepting: None,
            over: false,
        });
        out.push(world);
    }

    pub(super) fn drive(&self, position: usize, rules: &Rules, out: &mut Vec<Self>) {
        let drive = &self.drives[position];
        let ((role, index), origin) = (drive.place, drive.vote.value.origin);
        let quorums = self.replicas[0].quorums();
        for replica in &self.replicas {
            let id = replica.me();
            if drive.refused.contains(&id) || drive.answers.iter().any(|(known, _)| *known == id) {
                continue;
            }
            let mut world = self.clone();
            let value = drive.vote.value.clone();
            let reply =
                world
                    .at(id)
                    .fast_accept(role, index, value, drive.vote.proposed, drive.dep_view);
            match reply {
                Ok(reply) => world.drives[position].answers.push((id, reply.dep)),
                Err(_) => world.drives[position].refused.push(id),
            }
            world.drives[position].answers.sort_unstable();
            world.drives[position].refused.sort_unstable();
            out.push(world);
        }
        if let Some(accepting) = &drive.accepting {
            return self.accept(accepting, drive.place, rules, out, |world, accepting| {
                world.drives[position].accepting = Some(accepting);
            });
        }
        let pilot = &self.replicas[origin.pilot.0 as usize];
        if drive.over || !pilot.is_mine(role, index, origin) {
            return;
        }
        let agree = drive
            .answers
            .iter()
            .filter(|(_, dep)| *dep == drive.vote.proposed)
            .count();
        if agree >= quorums.fast() {
            let mut world = self.clone();
            let choice = drive.vote.proposal();
            world.drives[position].over = true;
            world.choose_at(origin.pilot, drive.place, choice);
            out.push(world);
        }
        let mut tried = BTreeSet::new();
        for subset in majorities(&drive.answers, origin.pilot, quorums) {
            let deps: Vec<_> = subset.iter().map(|(_, dep)| *dep).collect();
            let Some(dep) = (rules.final_dependency)(quorums, &deps) else {
                continue;
            };
            if !tried.insert(dep) {
                continue;
            }
            let mut world = self.clone();
            let choice = Choice {
                dep,
                ..drive.vote.proposal()
            };
            let ballot = drive.vote.ballot();
            world.drives[position].accepting =
                world.begin_to_accept(origin.pilot, drive.place, ballot, choice, rules);
            world.drives[position].over = true;
            out.push(world);
        }
    }
}
