//! How a pilot decides its entries.

use std::rc::Rc;

use super::deliver::{Arrived, Message, Steps};
use super::event::Event;
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

    /// A pilot concludes something from the votes of any majority.
    pub(super) fn drive(&self, position: usize, out: &mut Vec<World>) {
        let Drive {
            place, vote, over, ..
        } = &*self.world.drives[position];
        if *over {
            return;
        }
        let (pilot, quorums) = (vote.value.origin.pilot, self.world.quorums());
        for (votes, deps) in self.votes(position) {
            let after = |arrived| {
                let mut world = self.world.with(votes.iter().chain([arrived]));
                let goes_on = world.may_decide(position);
                Rc::make_mut(&mut world.drives[position]).over = true;
                goes_on.then_some(world)
            };
            let agreeing = deps.iter().filter(|dep| **dep == vote.proposed).count();
            if agreeing == quorums.fast() && deps.len() == agreeing {
                let found = self.before(Event::Commit(*place), pilot);
                for mut world in found.filter_map(after) {
                    world.choose_at(pilot, *place, vote.proposal());
                    out.push(world);
                }
            }
            if deps.len() < quorums.majority() {
                continue;
            }
            let Some(dep) = (self.rules.final_dependency)(quorums, &deps) else {
                continue;
            };
            let choice = Choice {
                dep,
                ..vote.proposal()
            };
            let found = self.before(Event::Accept(*place), pilot);
            for mut world in found.filter_map(after) {
                world.begin_to_accept(*place, vote.ballot(), choice.clone(), self.rules);
                out.push(world);
            }
        }
    }

    /// All sets of votes that contain the pilot's own, with what has to arrive for them.
    fn votes(&self, position: usize) -> Vec<(Vec<Arrived>, Vec<Index>)> {
        let Drive { vote, answers, .. } = &*self.world.drives[position];
        let mut found = vec![(Vec::new(), vec![vote.dep])];
        for id in self.world.ids() {
            if id == vote.value.origin.pilot {
                continue;
            }
            let answered = answers.iter().find(|(of, _)| *of == id);
            let options: Vec<(Vec<Arrived>, Option<Index>)> = match answered {
                Some((_, dep)) => vec![(Vec::new(), Some(*dep))],
                None => {
                    let heard = self.hearing(Message::Proposal(position), id);
                    let with_vote = |one: Arrived| (one.vote(position), one);
                    let heard = heard.into_iter().map(with_vote);
                    heard.map(|(dep, one)| (vec![one], dep)).collect()
                }
            };
            let with_it = |(those, deps): &(Vec<Arrived>, Vec<Index>)| {
                let with = |(more, dep): &(Vec<Arrived>, Option<Index>)| {
                    let deps = deps.iter().copied().chain(*dep).collect();
                    ([&those[..], more].concat(), deps)
                };
                options.iter().map(with).collect::<Vec<_>>()
            };
            let more: Vec<_> = found.iter().flat_map(with_it).collect();
            found.extend(more);
        }
        found
    }
}

impl World {
    /// A replica votes on a drive's proposal: with which dependency; `None` if it refuses.
    pub(super) fn vote(&self, position: usize, at: &mut Rc<Acceptor>) -> Option<Index> {
        let Drive {
            place: (role, index),
            vote,
            dep_view,
            ..
        } = &*self.drives[position];
        let (value, proposed) = (vote.value.clone(), vote.proposed);
        let voter = Rc::make_mut(at);
        let reply = voter.fast_accept(*role, *index, value, proposed, *dep_view);
        reply.ok().map(|reply| reply.dep)
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
