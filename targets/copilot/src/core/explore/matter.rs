//! What of a state can still matter: states that differ in nothing else are one.
//!
//! An entry at a replica matters as a whole while somebody may ask for it; else it matters by which votes to come it stands
//! against, and by which messages about it the replica would still take.

use std::hash::{Hash, Hasher};

use super::accept::Accepting;
use super::propose::Drive;
use super::recover::Recovery;
use super::{Place, Scope, World};
use crate::core::*;

impl World {
    /// Hashes what can still matter of what no single replica has.
    pub(super) fn hash_shared(&self, scope: &Scope, hasher: &mut impl Hasher) {
        let budgets = (&self.takeovers, self.restarts, self.learners);
        (budgets, &self.proposed).hash(hasher);
        self.hash_decisions(scope, hasher);
        for drive in self.drives.iter().filter(|drive| !drive.over) {
            let mut answers: Vec<_> = drive.answers.iter().map(|(_, dep)| *dep).collect();
            answers.sort_unstable();
            (drive.place, drive.vote.proposed, answers).hash(hasher);
        }
        for Recovery { place, ballot, own } in &self.recoveries {
            let accepted = own.accepted.as_ref();
            let accepted = accepted.map(|(ballot, choice)| (self.rank(*place, *ballot), choice));
            (place, self.rank(*place, *ballot), &own.vote, accepted).hash(hasher);
        }
        for attempt in &self.accepting {
            if self.may_be_asked(attempt.place, scope) {
                let rank = self.rank(attempt.place, attempt.ballot);
                (attempt.place, rank, &attempt.choice).hash(hasher);
            }
        }
    }

    /// Hashes what can still matter of what a replica knows.
    pub(super) fn hash_replica(&self, replica: &Acceptor, scope: &Scope, hasher: &mut impl Hasher) {
        for recovery in &self.recoveries {
            (recovery.ballot.proposer == replica.me()).hash(hasher);
        }
        for attempt in &self.accepting {
            if self.may_be_asked(attempt.place, scope) {
                (attempt.ballot.proposer == replica.me()).hash(hasher);
            }
        }
        let votes = self.votes_to_come(replica, scope);
        for drive in &self.drives {
            if self.may_be_asked(drive.place, scope) {
                self.hash_whole_entry(replica, drive, hasher);
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

    /// What is decided or may be, as far as it is searched for.
    fn hash_decisions(&self, scope: &Scope, hasher: &mut impl Hasher) {
        if self.may_be_learnt(scope) {
            self.chosen.hash(hasher);
        }
        for place in self.aim.places() {
            for choice in self.decisions(place) {
                self.aim.hash_decision(place, choice, hasher);
            }
            self.is_contended(place).hash(hasher);
        }
    }

    fn hash_whole_entry(&self, at: &Acceptor, drive: &Drive, hasher: &mut impl Hasher) {
        let (role, index) = drive.place;
        let entry = at.log(role).get(index).cloned().unwrap_or_default();
        let rank = |ballot| self.rank(drive.place, ballot);
        let is_own = |ballot: Ballot| ballot.proposer == at.me();
        (entry.promised.map(rank), entry.promised.map(is_own)).hash(hasher);
        let accepted = entry.accepted;
        let accepted = accepted.map(|(ballot, choice)| (rank(ballot), is_own(ballot), choice));
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
        for attempt in about_it().filter(|attempt| attempt.is_open_at(at)) {
            of_choice(&attempt.choice).hash(hasher);
            open = true;
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
    pub(super) fn may_be_asked(&self, place: Place, scope: &Scope) -> bool {
        self.takeovers.contains(&place)
            || self.restarts < scope.restarts
            || self.may_be_learnt(scope)
            || self.recoveries.iter().any(|one| one.place == place)
    }

    /// Whether replicas may hear of decisions.
    pub(super) fn may_be_learnt(&self, scope: &Scope) -> bool {
        self.learners < scope.learners
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
        let unexplored = scope.unexplored();
        let indices = Index(unexplored + first).until(Index(unexplored + last));
        indices.map(move |index| ToCome {
            place: (role, index),
            after,
        })
    }

    fn is_to_propose(&self, role: Role, scope: &Scope) -> bool {
        self.proposed[role as usize] < scope.entries[role as usize]
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
