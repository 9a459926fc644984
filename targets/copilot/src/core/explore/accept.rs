//! How a choice is accepted, from a pilot or whoever recovers.

use super::deliver::Message;
use super::{Place, Rules, World};
use crate::core::*;

/// An attempt at having a choice accepted.
#[derive(Clone)]
pub(super) struct Accepting {
    pub(super) place: Place,
    pub(super) ballot: Ballot,
    pub(super) choice: Choice,
    pub(super) accepted: Vec<ReplicaId>,
}

impl World {
    /// A proposer accepts its own choice; false if it may not.
    pub(super) fn begin_to_accept(
        &mut self,
        place: Place,
        ballot: Ballot,
        choice: Choice,
        rules: &Rules,
    ) -> bool {
        self.accepting.push(Accepting {
            place,
            ballot,
            choice,
            accepted: Vec::new(),
        });
        let begun = self.accept(self.accepting.len() - 1, ballot.proposer, rules);
        self.accepting
            .sort_by_key(|accepting| (accepting.place, accepting.ballot));
        begun
    }

    /// A replica accepts a choice, which may be the last that was needed; false if it refuses.
    pub(super) fn accept(&mut self, position: usize, at: ReplicaId, rules: &Rules) -> bool {
        let Accepting {
            place: (role, index),
            ballot,
            choice,
            ..
        } = self.accepting[position].clone();
        let view = self.replicas[0].standing(role.other()).current;
        let majority = self.quorums().majority();
        let acceptor = self.at(at);
        let reply = acceptor.accept(role, index, ballot, choice.clone(), view);
        if reply.is_err() {
            return false;
        }
        if rules.overwrites_vote
            && let Some(entry) = acceptor.logs[role].get_or_make(index)
            && let Some(vote) = &mut entry.vote
        {
            vote.dep = choice.dep;
        }
        let accepted = &mut self.accepting[position].accepted;
        accepted.push(at);
        accepted.sort_unstable();
        if accepted.len() >= majority {
            self.chosen((role, index), choice);
        }
        true
    }

    /// A choice gets the acceptances that it lacks.
    pub(super) fn have_accepted(&self, position: usize, rules: &Rules, out: &mut Vec<Self>) {
        let majority = self.quorums().majority();
        if self.accepting[position].accepted.len() >= majority {
            return;
        }
        let mut worlds = vec![self.clone()];
        for id in self.ids() {
            if self.accepting[position].accepted.contains(&id) {
                continue;
            }
            let with_it: Vec<_> = worlds
                .iter()
                .filter(|world| world.accepting[position].accepted.len() < majority)
                .flat_map(|world| world.hearing(Message::Choice(position), id, rules))
                .collect();
            worlds.extend(with_it);
        }
        worlds.retain(|world| world.accepting[position].accepted.len() >= majority);
        out.append(&mut worlds);
    }

    pub(super) fn choose_at(&mut self, me: ReplicaId, (role, index): Place, choice: Choice) {
        self.chosen((role, index), choice.clone());
        let commit = Commit {
            choice,
            dep_seen: None,
        };
        self.at(me).commit(role, index, commit);
    }

    fn chosen(&mut self, place: Place, choice: Choice) {
        if !self
            .chosen
            .iter()
            .any(|(known, same)| *known == place && same.is_same(&choice))
        {
            self.chosen.push((place, choice));
            self.chosen
                .sort_by_key(|(place, choice)| (*place, choice.dep));
        }
    }
}
