//! How a choice is accepted, from a pilot or whoever recovers.

use std::rc::Rc;

use super::deliver::Message;
use super::steps::{Answer, Steps};
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

impl Steps<'_> {
    /// A choice gets the acceptances that it lacks.
    pub(super) fn have_accepted(&self, position: usize, out: &mut Vec<World>) {
        let accepting = &self.world.accepting[position];
        let lacking = self.world.quorums().majority();
        let lacking = lacking.saturating_sub(accepting.accepted.len());
        if lacking == 0 {
            return;
        }
        let found = self.gather(
            lacking,
            |id| {
                if accepting.accepted.contains(&id) {
                    return Vec::new();
                }
                let heard = self.hearing(Message::Choice(position), id).into_iter();
                heard.map(|after| Answer { after, told: () }).collect()
            },
            |()| (),
        );
        let complete = found.iter().filter(|those| those.len() == lacking);
        out.extend(complete.map(|those| self.world.with(those.iter().map(|it| &it.after))));
    }
}

impl World {
    /// What is decided for an entry, or would be if only what has been said arrived. All of it can be: nobody who accepts
    /// an attempt had refused those before it.
    pub(super) fn decisions(&self, place: Place) -> impl Iterator<Item = &Choice> {
        let decided = self.chosen.iter().filter(move |(of, _)| *of == place);
        let attempts = self.accepting.iter();
        let attempts =
            attempts.filter(move |attempt| attempt.place == place && self.may_succeed(attempt));
        let decided = decided.map(|(_, choice)| choice);
        decided.chain(attempts.map(|attempt| &attempt.choice))
    }

    fn may_succeed(&self, attempt: &Accepting) -> bool {
        self.may_be_accepted_by(attempt) >= self.quorums().majority()
    }

    /// How many replicas have accepted an attempt or still may.
    pub(super) fn may_be_accepted_by(&self, attempt: &Accepting) -> usize {
        let open = self.replicas.iter().filter(|at| attempt.is_open_at(at));
        attempt.accepted.len() + open.count()
    }

    /// A choice is to be accepted; by whoever made it too, whenever that comes to it.
    pub(super) fn begin_to_accept(&mut self, place: Place, ballot: Ballot, choice: Choice) {
        self.accepting.push(Rc::new(Accepting {
            place,
            ballot,
            choice,
            accepted: Vec::new(),
        }));
        self.accepting
            .sort_by_key(|accepting| (accepting.place, accepting.ballot));
    }

    /// A replica accepts a choice; `None` if it refuses.
    pub(super) fn accept(
        &self,
        position: usize,
        at: &mut Rc<Acceptor>,
        rules: &Rules,
    ) -> Option<()> {
        let Accepting {
            place: (role, index),
            ballot,
            choice,
            ..
        } = &*self.accepting[position];
        let view = at.standing(role.other()).current;
        let acceptor = Rc::make_mut(at);
        let reply = acceptor.accept(*role, *index, *ballot, choice.clone(), view);
        reply.ok()?;
        if rules.overwrites_vote
            && let Some(entry) = acceptor.logs[*role].get_or_make(*index)
            && let Some(vote) = &mut entry.vote
        {
            vote.dep = choice.dep;
        }
        Some(())
    }

    /// Notes an acceptance, which may be the last that was needed.
    pub(super) fn has_accepted(&mut self, position: usize, at: ReplicaId) {
        let majority = self.quorums().majority();
        let accepting = Rc::make_mut(&mut self.accepting[position]);
        accepting.accepted.push(at);
        accepting.accepted.sort_unstable();
        if accepting.accepted.len() >= majority {
            let (place, choice) = (accepting.place, accepting.choice.clone());
            self.chosen(place, choice);
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
