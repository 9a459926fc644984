//! What a search is for: two decisions that must not both be taken.

use std::rc::Rc;

use super::accept::Accepting;
use super::propose::Drive;
use super::{Place, Rules, Scope, World};
use crate::core::*;

/// Two decisions of one entry that differ, or one each of two entries that do not depend on each other.
///
/// A search for all such pairs at once would tell states apart by what matters to any of them. A search for one leaves a
/// way as soon as one of the decisions cannot be taken any more, and does not ask whether other entries are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Aim(Place, Place);

impl Aim {
    /// All for these entries.
    pub(super) fn all(places: &[Place]) -> Vec<Self> {
        let with = |one: &Place| {
            let one = *one;
            let others = places.iter();
            let others = others.filter(move |other| **other == one || other.0 > one.0);
            others.map(move |other| Self(one, *other))
        };
        places.iter().flat_map(with).collect()
    }

    /// The same with the pilots' places changed.
    pub(super) fn mirrored(self) -> Self {
        let [one, other] = [self.0, self.1].map(|(role, index)| (role.other(), index));
        Self(one.min(other), one.max(other))
    }

    /// The entries that it is about.
    pub(super) fn places(self) -> impl Iterator<Item = Place> {
        let other = (self.1 != self.0).then_some(self.1);
        [self.0].into_iter().chain(other)
    }
}

impl World {
    /// Whether both decisions are taken or may still be.
    pub(super) fn is_in_reach(&self, scope: &Scope, rules: &Rules) -> bool {
        let Aim(one, other) = self.aim;
        if one == other {
            return self.may_be_decided_twice(one);
        }
        let may_be_decided =
            |place, (_, index)| self.may_be_decided_before(place, index, scope, rules);
        may_be_decided(one, other) && may_be_decided(other, one)
    }

    /// Whether an entry is or may be decided with a dependency before an index: none is before what is proposed.
    fn may_be_decided_before(
        &self,
        place @ (role, _): Place,
        index: Index,
        scope: &Scope,
        rules: &Rules,
    ) -> bool {
        if self.decisions(place).any(|choice| choice.is_before(index)) {
            return true;
        }
        let Some(drive) = self.drive_at(place) else {
            return self.replicas[role as usize].log(role.other()).known() < index;
        };
        if drive.vote.proposed >= index {
            return false;
        }
        let may_be_learnt = self.may_be_learnt(scope);
        let least = || self.least_dependency(drive, rules);
        if !drive.over && (may_be_learnt || least().is_some_and(|dep| dep < index)) {
            return true;
        }
        let may_be_reported = |attempt: &Rc<Accepting>| {
            attempt.place == place
                && attempt.choice.is_before(index)
                && self.may_be_accepted_by(attempt) > 0
        };
        self.attempts_to_come(place) > 0
            && (may_be_learnt
                || self.accepting.iter().any(may_be_reported)
                || self.may_be_recovered(drive, rules))
    }

    /// The least that a pilot may yet choose, if nobody hears of decisions: entries stand against others for ever then.
    fn least_dependency(&self, drive: &Drive, rules: &Rules) -> Option<Index> {
        let votes = self.replicas.iter().filter_map(|at| drive.least_vote(at));
        let mut votes: Vec<_> = votes.collect();
        votes.sort_unstable();
        votes.truncate(self.quorums().majority());
        (rules.final_dependency)(self.quorums(), &votes)
    }

    /// Whether a proposal may be chosen because of votes for it. The more there are, the more likely it is.
    fn may_be_recovered(&self, drive: &Drive, rules: &Rules) -> bool {
        let agreed = Report {
            vote: Some(drive.vote.clone()),
            accepted: None,
        };
        let pilot = drive.vote.value.origin.pilot;
        let report = |at: &Rc<Acceptor>| {
            let agrees = drive.least_vote(at) == Some(drive.vote.proposed);
            let report = agrees.then(|| agreed.clone());
            (at.me(), report.unwrap_or_default())
        };
        let mut others: Vec<_> = self.replicas.iter().map(report).collect();
        others.retain(|(id, _)| *id != pilot);
        others.sort_by_key(|(_, report)| report.vote.is_none());
        others.truncate(self.quorums().majority());
        let mut with_pilot = others.clone();
        with_pilot.pop();
        with_pilot.push((pilot, agreed));
        let chooses = |reports: &[_]| (rules.choose)(self.quorums(), reports).value.is_some();
        chooses(&others) || chooses(&with_pilot)
    }

    fn may_be_decided_twice(&self, place: Place) -> bool {
        let mut choices: Vec<&Choice> = Vec::new();
        for choice in self.decisions(place) {
            if !choices.iter().any(|known| known.is_same(choice)) {
                choices.push(choice);
            }
        }
        let is_driven = self.drive_at(place).is_none_or(|drive| !drive.over);
        choices.len() + self.attempts_to_come(place) + usize::from(is_driven) > 1
    }

    /// The takeovers that have not led to an attempt yet.
    fn attempts_to_come(&self, place: Place) -> usize {
        let recoveries = self.recoveries.iter();
        let to_come = recoveries.filter(|recovery| recovery.place == place);
        to_come.count()
    }
}

impl Choice {
    /// Whether it is something that does not depend on an entry of the other log.
    pub(super) fn is_before(&self, index: Index) -> bool {
        self.value.is_some() && self.dep < index
    }
}
