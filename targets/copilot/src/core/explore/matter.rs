//! What of a state can still matter: states that differ in nothing else are one.
//!
//! An entry at a replica matters as a whole while somebody may ask for it; else it matters by which votes to come it stands
//! against, and by which messages about it the replica would still take.

use std::hash::{Hash, Hasher};

use super::accept::Accepting;
use super::propose::Drive;
use super::recover::Recovery;
use super::symmetry::Symmetry;
use super::{Place, Scope, World};
use crate::core::*;

impl World {
    /// Hashes what can still matter of what no single replica has.
    pub(super) fn hash_shared(&self, scope: &Scope, symmetry: &Symmetry, hasher: &mut impl Hasher) {
        let budgets = (&self.takeovers, self.restarts, self.learners);
        (budgets, &self.proposed).hash(hasher);
        self.hash_chosen(scope, hasher);
        for drive in self.drives.iter().filter(|drive| !drive.over) {
            let mut answers: Vec<_> = drive.answers.iter().map(|(_, dep)| *dep).collect();
            answers.sort_unstable();
            (drive.place, drive.vote.proposed, answers).hash(hasher);
        }
        for Recovery { place, ballot, own } in &self.recoveries {
            let accepted = own.accepted.as_ref();
            let accepted = accepted.map(|(ballot, choice)| (symmetry.anonymous(*ballot), choice));
            (place, symmetry.anonymous(*ballot), &own.vote, accepted).hash(hasher);
        }
        for accepting in self.attempts_that_matter(scope) {
            let Accepting {
                place,
                ballot,
                choice,
                accepted,
            } = accepting;
            (place, symmetry.anonymous(*ballot), choice, accepted.len()).hash(hasher);
        }
    }

    /// Hashes what can still matter of what a replica knows.
    pub(super) fn hash_replica(
        &self,
        replica: &Acceptor,
        scope: &Scope,
        symmetry: &Symmetry,
        hasher: &mut impl Hasher,
    ) {
        for recovery in &self.recoveries {
            (recovery.ballot.proposer == replica.me()).hash(hasher);
        }
        for accepting in self.attempts_that_matter(scope) {
            (accepting.ballot.proposer == replica.me()).hash(hasher);
        }
        let votes = self.votes_to_come(replica, scope);
        for drive in &self.drives {
            if self.may_be_asked(drive.place, scope) {
                self.hash_whole_entry(replica, drive, symmetry, hasher);
            } else {
                self.hash_entry(replica, drive, &votes, hasher);
            }
        }
        for role in Role::BOTH {
            if self.is_to_propose(role, scope) && replica.me() == ReplicaId(role as u32) {
                replica.log(role.other()).known().hash(hasher);
            }
        }
    }

    fn attempts_that_matter(&self, scope: &Scope) -> impl Iterator<Item = &Accepting> {
        let attempts = self.accepting.iter().map(|attempt| &**attempt);
        attempts
            .filter(|attempt| !self.is_chosen(attempt) || self.may_be_asked(attempt.place, scope))
    }

    /// What is decided, as far as something different or incompatible may yet be.
    fn hash_chosen(&self, scope: &Scope, hasher: &mut impl Hasher) {
        let (open, over): (Vec<_>, Vec<_>) = scope
            .places()
            .into_iter()
            .partition(|place| self.may_yet_be_chosen(*place, scope));
        open.hash(hasher);
        for (place, choice) in &self.chosen {
            let is_against = |(role, index): &&Place| {
                *role != place.0 && choice.value.is_some() && choice.dep < *index
            };
            if over.contains(place) {
                let against: Vec<_> = open.iter().filter(is_against).collect();
                (!against.is_empty())
                    .then_some((place, against))
                    .hash(hasher);
            } else {
                (place, choice).hash(hasher);
            }
        }
    }

    fn may_yet_be_chosen(&self, place @ (role, index): Place, scope: &Scope) -> bool {
        index.0 > self.proposed[role as usize]
            || self
                .drives
                .iter()
                .any(|drive| drive.place == place && !drive.over)
            || self
                .accepting
                .iter()
                .any(|accepting| accepting.place == place && !self.is_chosen(accepting))
            || self.may_be_asked(place, scope)
    }

    fn hash_whole_entry(
        &self,
        at: &Acceptor,
        drive: &Drive,
        symmetry: &Symmetry,
        hasher: &mut impl Hasher,
    ) {
        let (role, index) = drive.place;
        let entry = at.log(role).get(index).cloned().unwrap_or_default();
        let anonymous = |ballot| symmetry.anonymous(ballot);
        let is_own = |ballot: Ballot| ballot.proposer == at.me();
        (entry.promised.map(anonymous), entry.promised.map(is_own)).hash(hasher);
        let accepted = entry.accepted;
        let accepted = accepted.map(|(ballot, choice)| (anonymous(ballot), is_own(ballot), choice));
        (accepted, entry.vote, entry.commit).hash(hasher);
        (drive.answer(at.me()).is_some(), drive.vote.proposed).hash(hasher);
        for accepting in self.accepting.iter().filter(|one| one.place == drive.place) {
            accepting.accepted.contains(&at.me()).hash(hasher);
        }
    }

    fn hash_entry(&self, at: &Acceptor, drive: &Drive, votes: &[ToCome], hasher: &mut impl Hasher) {
        let place @ (role, index) = drive.place;
        let entry = at.log(role).get(index);
        let about_it = || self.accepting.iter().filter(|one| one.place == place);
        let against: Vec<_> = votes.iter().filter(|vote| vote.looks_at(place)).collect();
        let conflicts = |dep: Option<Index>| {
            let is_against = |vote: &&ToCome| dep.is_some_and(|dep| dep < vote.place.1);
            against.iter().map(is_against).collect::<Vec<_>>()
        };
        let of_choice = |choice: &Choice| conflicts(choice.value.as_ref().map(|_| choice.dep));
        let vote = votes.iter().find(|vote| vote.place == place);
        vote.map(|vote| vote.after).hash(hasher);
        let mut open = vote.is_some();
        for accepting in about_it() {
            let (accept, is_chosen) = (accepting.is_open_at(at), self.is_chosen(accepting));
            if !is_chosen {
                (is_chosen, accept).hash(hasher);
            } else if accept && !against.is_empty() {
                (is_chosen, of_choice(&accepting.choice)).hash(hasher);
            }
            open |= accept;
        }
        if against.is_empty() {
            return;
        }
        let entry = entry.cloned().unwrap_or_default();
        if open {
            conflicts(entry.vote.as_ref().map(|vote| vote.dep)).hash(hasher);
            let accepted = entry.accepted.as_ref();
            accepted.map(|(_, choice)| of_choice(choice)).hash(hasher);
        } else {
            conflicts(entry.recorded_dep()).hash(hasher);
        }
    }

    /// Whether somebody may ask what a replica knows of an entry.
    fn may_be_asked(&self, place: Place, scope: &Scope) -> bool {
        self.takeovers.contains(&place)
            || self.restarts < scope.restarts
            || self.learners < scope.learners
            || self.recoveries.iter().any(|one| one.place == place)
    }

    /// The votes that a replica has still to give and that matter: to whoever counts them or may ask for them, or because
    /// they stand against others that matter.
    fn votes_to_come(&self, at: &Acceptor, scope: &Scope) -> Vec<ToCome> {
        let mut votes: Vec<_> = Role::BOTH
            .into_iter()
            .flat_map(|role| self.proposals_to_come(role, scope))
            .collect();
        let open = self.drives.iter().filter(|drive| drive.is_open_at(at));
        let (counted, mut rest): (Vec<_>, Vec<_>) =
            open.partition(|drive| !drive.over || self.may_be_asked(drive.place, scope));
        votes.extend(counted.into_iter().map(|drive| ToCome::of(drive)));
        loop {
            let (held, others): (Vec<_>, Vec<_>) = rest
                .into_iter()
                .partition(|drive| votes.iter().any(|vote| vote.looks_at(drive.place)));
            if held.is_empty() {
                break;
            }
            votes.extend(held.into_iter().map(|drive| ToCome::of(drive)));
            rest = others;
        }
        votes.sort_unstable_by_key(|vote| vote.place);
        votes
    }

    /// The proposals to come. Their pilot looks at the other log too, for what to propose.
    fn proposals_to_come(&self, role: Role, scope: &Scope) -> impl Iterator<Item = ToCome> + use<> {
        let after = self.replicas[role as usize].log(role.other()).known();
        let last = scope.entries[role as usize];
        let first = self.proposed[role as usize].min(last);
        Index(first).until(Index(last)).map(move |index| ToCome {
            place: (role, index),
            after,
        })
    }

    fn is_to_propose(&self, role: Role, scope: &Scope) -> bool {
        self.proposed[role as usize] < scope.entries[role as usize]
    }

    fn is_chosen(&self, accepting: &Accepting) -> bool {
        accepting.accepted.len() >= self.quorums().majority()
    }
}

/// A vote that a replica has still to give.
struct ToCome {
    place: Place,
    /// The dependency that is proposed, or the least that will be.
    after: Index,
}

impl ToCome {
    fn of(drive: &Drive) -> Self {
        Self {
            place: drive.place,
            after: drive.vote.proposed,
        }
    }

    /// Whether an entry may stand against it.
    fn looks_at(&self, (role, index): Place) -> bool {
        role != self.place.0 && index > self.after
    }
}

impl Drive {
    /// Whether a replica that has not voted would.
    pub(super) fn is_open_at(&self, at: &Acceptor) -> bool {
        let (role, index) = self.place;
        let refuses = |entry: &Entry| {
            let promised = entry.promised.is_some_and(|it| it > self.vote.ballot());
            entry.commit.is_some() || entry.accepted.is_some() || promised
        };
        self.answer(at.me()).is_none() && !at.log(role).get(index).is_some_and(refuses)
    }
}

impl Accepting {
    /// Whether a replica that has not accepted would.
    pub(super) fn is_open_at(&self, at: &Acceptor) -> bool {
        let (role, index) = self.place;
        let refuses = |entry: &Entry| {
            entry.commit.is_some() || entry.promised.is_some_and(|it| it > self.ballot)
        };
        !self.accepted.contains(&at.me()) && !at.log(role).get(index).is_some_and(refuses)
    }
}
