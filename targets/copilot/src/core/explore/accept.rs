//! How a choice is accepted, from a pilot or whoever recovers.

use super::{Place, Rules, World};
use crate::core::*;

/// An attempt at having a choice accepted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Accepting {
    pub(super) ballot: Ballot,
    pub(super) choice: Choice,
    pub(super) asked: Vec<ReplicaId>,
    pub(super) accepted: usize,
}

impl World {
    pub(super) fn begin_to_accept(
        &mut self,
        me: ReplicaId,
        (role, index): Place,
        ballot: Ballot,
        choice: Choice,
        rules: &Rules,
    ) -> Option<Accepting> {
        let accepting = Accepting {
            ballot,
            choice,
            asked: Vec::new(),
            accepted: 0,
        };
        self.accept_at(me, (role, index), accepting, rules)
    }

    pub(super) fn accept_at(
        &mut self,
        id: ReplicaId,
        (role, index): Place,
        mut accepting: Accepting,
        rules: &Rules,
    ) -> Option<Accepting> {
        let view = self.replicas[0].standing(role.other()).current;
        let choice = accepting.choice.clone();
        let dep = choice.dep;
        let acceptor = self.at(id);
        let accepted = acceptor
            .accept(role, index, accepting.ballot, choice, view)
            .is_ok();
        if accepted && rules.overwrites_vote {
            let entry = acceptor.logs[role].get_or_make(index)?;
            if let Some(vote) = &mut entry.vote {
                vote.dep = dep;
            }
        }
        accepting.accepted += usize::from(accepted);
        accepting.asked.push(id);
        accepting.asked.sort_unstable();
        accepted.then_some(accepting)
    }

    pub(super) fn accept(
        &self,
        accepting: &Accepting,
        place: Place,
        rules: &Rules,
        out: &mut Vec<Self>,
        put: impl Fn(&mut Self, Accepting),
    ) {
        let majority = self.replicas[0].quorums().majority();
        for replica in &self.replicas {
            let id = replica.me();
            if accepting.accepted >= majority || accepting.asked.contains(&id) {
                continue;
            }
            let mut world = self.clone();
            let Some(accepting) = world.accept_at(id, place, accepting.clone(), rules) else {
                continue;
            };
            if accepting.accepted >= majority {
                world.chosen(place, accepting.choice.clone());
            }
            put(&mut world, accepting);
            out.push(world);
        }
    }

    pub(super) fn choose_at(&mut self, me: ReplicaId, (role, index): Place, choice: Choice) {
        self.chosen((role, index), choice.clone());
        let commit = Commit {
            choice,
            dep_seen: None,
        };
        self.at(me).commit(role, index, commit);
    }

    pub(super) fn chosen(&mut self, place: Place, choice: Choice) {
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

/// All majorities of the answers that contain the asker's own.
pub(super) fn majorities<T: Clone>(
    answers: &[(ReplicaId, T)],
    own: ReplicaId,
    quorums: Quorums,
) -> Vec<Vec<(ReplicaId, T)>> {
    (0..1u32 << answers.len())
        .filter(|mask| mask.count_ones() as usize >= quorums.majority())
        .map(|mask| {
            let chosen = |(place, answer): (usize, &(ReplicaId, T))| {
                (mask >> place & 1 == 1).then(|| answer.clone())
            };
            answers.iter().enumerate().filter_map(chosen).collect()
        })
        .filter(|subset: &Vec<(ReplicaId, T)>| subset.iter().any(|(id, _)| *id == own))
        .collect()
}
