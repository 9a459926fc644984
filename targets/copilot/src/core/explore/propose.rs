//! How a pilot decides its entries.

use super::deliver::Message;
use super::event::Event;
use super::{Place, Rules, World, batch};
use crate::core::*;

/// A pilot's attempt at deciding its entry.
#[derive(Clone)]
pub(super) struct Drive {
    pub(super) place: Place,
    pub(super) vote: Vote,
    pub(super) dep_view: View,
    /// Who voted for which dependency.
    pub(super) answers: Vec<(ReplicaId, Index)>,
    pub(super) over: bool,
}

impl Drive {
    pub(super) fn answer(&self, of: ReplicaId) -> Option<Index> {
        let answer = self.answers.iter().find(|(id, _)| *id == of);
        answer.map(|(_, dep)| *dep)
    }
}

impl World {
    pub(super) fn propose(&self, role: Role, rules: &Rules, out: &mut Vec<Self>) {
        let pilot = ReplicaId(role as u32);
        for mut world in self.before(Event::Propose(role), pilot, None, rules) {
            let number = self.proposed[role as usize] + 1;
            let Some(proposal) = world.at(pilot).propose(role, batch(role, number)) else {
                continue;
            };
            world.proposed[role as usize] = number;
            world.drives.push(Drive {
                place: (role, proposal.index),
                answers: vec![(pilot, proposal.vote.dep)],
                vote: proposal.vote,
                dep_view: proposal.dep_view,
                over: false,
            });
            world.drives.sort_by_key(|drive| drive.place);
            out.push(world);
        }
    }

    /// A replica votes; false if it refuses.
    pub(super) fn vote(&mut self, position: usize, at: ReplicaId) -> bool {
        let Drive {
            place: (role, index),
            vote,
            dep_view,
            ..
        } = self.drives[position].clone();
        let reply = self
            .at(at)
            .fast_accept(role, index, vote.value, vote.proposed, dep_view);
        let Ok(reply) = reply else { return false };
        let answers = &mut self.drives[position].answers;
        answers.push((at, reply.dep));
        answers.sort_unstable();
        true
    }

    /// A pilot concludes something from the votes of any majority.
    pub(super) fn drive(&self, position: usize, rules: &Rules, out: &mut Vec<Self>) {
        let Drive {
            place, vote, over, ..
        } = &self.drives[position];
        if *over {
            return;
        }
        let (pilot, quorums) = (vote.value.origin.pilot, self.quorums());
        for (world, deps) in self.votes(position, rules) {
            let agreeing = deps.iter().filter(|dep| **dep == vote.proposed).count();
            if agreeing == quorums.fast() && deps.len() == agreeing {
                for mut world in world.before(Event::Commit(*place), pilot, None, rules) {
                    if world.may_decide(position) {
                        world.drives[position].over = true;
                        world.choose_at(pilot, *place, vote.proposal());
                        out.push(world);
                    }
                }
            }
            let Some(dep) = (rules.final_dependency)(quorums, &deps) else {
                continue;
            };
            if deps.len() < quorums.majority() {
                continue;
            }
            let choice = Choice {
                dep,
                ..vote.proposal()
            };
            for mut world in world.before(Event::Accept(*place), pilot, None, rules) {
                if world.may_decide(position) {
                    world.drives[position].over = true;
                    world.begin_to_accept(*place, vote.ballot(), choice.clone(), rules);
                    out.push(world);
                }
            }
        }
    }

    fn may_decide(&self, position: usize) -> bool {
        let Drive {
            place: (role, index),
            vote,
            ..
        } = &self.drives[position];
        let origin = vote.value.origin;
        self.replicas[origin.pilot.0 as usize].is_mine(*role, *index, origin)
    }

    /// All sets of votes that contain the pilot's own.
    fn votes(&self, position: usize, rules: &Rules) -> Vec<(Self, Vec<Index>)> {
        let vote = &self.drives[position].vote;
        let mut found = vec![(self.clone(), vec![vote.dep])];
        for id in self.ids().filter(|id| *id != vote.value.origin.pilot) {
            let with_it = |(world, deps): &(Self, Vec<Index>)| {
                let worlds = match world.drives[position].answer(id) {
                    Some(_) => vec![world.clone()],
                    None => world.hearing(Message::Proposal(position), id, rules),
                };
                let deps = deps.clone();
                worlds.into_iter().map(move |world| {
                    let answer = world.drives[position].answer(id);
                    let deps = deps.iter().copied().chain(answer).collect();
                    (world, deps)
                })
            };
            let more: Vec<_> = found.iter().flat_map(with_it).collect();
            found.extend(more);
        }
        found
    }
}
