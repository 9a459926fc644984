//! How a pilot decides its entries.

use std::rc::Rc;

use super::deliver::{Arrived, Message};
use super::event::Event;
use super::steps::{Answer, Steps};
use super::{Place, World, batch};
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

    pub(super) fn hear(&mut self, of: ReplicaId, dep: Index) {
        self.answers.push((of, dep));
        self.answers.sort_unstable();
    }
}

impl Steps<'_> {
    pub(super) fn propose(&self, role: Role, out: &mut Vec<World>) {
        let pilot = ReplicaId(role as u32);
        for arrived in self.before(Event::Propose(role), pilot) {
            let mut world = self.world.with([arrived]);
            let Some(proposal) = world.at(pilot).propose(role, batch()) else {
                continue;
            };
            world.proposed[role as usize] += 1;
            world.drives.push(Rc::new(Drive {
                place: (role, proposal.index),
                answers: vec![(pilot, proposal.vote.dep)],
                vote: proposal.vote,
                dep_view: proposal.dep_view,
                over: false,
            }));
            world.drives.sort_by_key(|drive| drive.place);
            out.push(world);
        }
    }

    /// A pilot decides from the votes of a fast quorum.
    pub(super) fn decide_fast(&self, position: usize, out: &mut Vec<World>) {
        let Drive { place, vote, .. } = &*self.world.drives[position];
        let quorum = self.world.quorums().fast();
        for votes in self.others_votes(position, quorum - 1) {
            let is_fast = votes.len() + 1 == quorum;
            if is_fast && votes.iter().all(|it| it.told == vote.proposed) {
                let pilot = vote.value.origin.pilot;
                for mine in self.before(Event::Commit(*place), pilot) {
                    if let Some(mut world) = self.concluded(position, &votes, Some(mine)) {
                        world.choose_at(pilot, *place, vote.proposal());
                        out.push(world);
                    }
                }
            }
        }
    }

    /// A pilot chooses a dependency from the votes of any majority: that of more votes follows from a majority of them too,
    /// and votes that nobody counts may as well arrive later.
    pub(super) fn decide_regularly(&self, position: usize, out: &mut Vec<World>) {
        let Drive { place, vote, .. } = &*self.world.drives[position];
        let quorums = self.world.quorums();
        for votes in self.others_votes(position, quorums.majority() - 1) {
            if votes.len() + 1 < quorums.majority() {
                continue;
            }
            let deps = votes.iter().map(|it| it.told).chain([vote.dep]);
            let deps: Vec<Index> = deps.collect();
            let Some(dep) = (self.rules.final_dependency)(quorums, &deps) else {
                continue;
            };
            let choice = Choice {
                dep,
                ..vote.proposal()
            };
            if let Some(mut world) = self.concluded(position, &votes, None) {
                world.begin_to_accept(*place, vote.ballot(), choice);
                out.push(world);
            }
        }
    }

    /// The state in which a pilot has concluded something from votes; `None` if it may not any more.
    fn concluded(
        &self,
        position: usize,
        votes: &[Rc<Answer<Index>>],
        mine: Option<&Arrived>,
    ) -> Option<World> {
        let votes = votes.iter().map(|vote| &vote.after);
        let mut world = self.world.with(votes.chain(mine));
        let goes_on = world.may_decide(position);
        Rc::make_mut(&mut world.drives[position]).over = true;
        goes_on.then_some(world)
    }

    /// All sets of up to so many votes of others than the pilot.
    fn others_votes(&self, position: usize, most: usize) -> Vec<Vec<Rc<Answer<Index>>>> {
        let drive = &self.world.drives[position];
        let Drive { vote, answers, .. } = &**drive;
        self.gather(
            most,
            |id| {
                if id == vote.value.origin.pilot {
                    return Vec::new();
                }
                if let Some((_, told)) = answers.iter().find(|(of, _)| *of == id) {
                    let after = Arrived::nothing(&self.world.replicas[id.0 as usize]);
                    return vec![Answer { after, told: *told }];
                }
                let heard = self.hearing(Message::Proposal(position), id).into_iter();
                let with_vote = heard.filter_map(|after| Some((after.vote(position)?, after)));
                let answers = with_vote.map(|(told, after)| Answer { after, told });
                answers.collect()
            },
            |dep| drive.part(*dep, self.scope),
        )
    }
}

impl World {
    /// How a replica may vote on a drive's proposal, and what becomes of it: with the dependency that it finds right, or a
    /// greater one because of entries that are not explored.
    pub(super) fn votes(&self, position: usize, at: &Rc<Acceptor>) -> Vec<(Index, Rc<Acceptor>)> {
        let Drive {
            place: (role, index),
            vote,
            dep_view,
            ..
        } = &*self.drives[position];
        let mut voter = Acceptor::clone(at);
        let value = vote.value.clone();
        let Ok(reply) = voter.fast_accept(*role, *index, value, vote.proposed, *dep_view) else {
            return Vec::new();
        };
        let raised = |dep: &Index| {
            let mut voter = voter.clone();
            let entry = voter.logs[*role].get_or_make(*index)?;
            entry.vote.as_mut()?.dep = *dep;
            Some((*dep, Rc::new(voter)))
        };
        let greater = self.raised.iter().filter(|dep| **dep > reply.dep);
        let raised: Vec<_> = greater.filter_map(raised).collect();
        [(reply.dep, Rc::new(voter))]
            .into_iter()
            .chain(raised)
            .collect()
    }

    fn may_decide(&self, position: usize) -> bool {
        let Drive {
            place: (role, index),
            vote,
            ..
        } = &*self.drives[position];
        let origin = vote.value.origin;
        self.replicas[origin.pilot.0 as usize].is_mine(*role, *index, origin)
    }
}
