//! What of a state can still matter: states that differ in nothing else are one.
//!
//! An entry at a replica matters as a whole while somebody may ask for it; else it matters by which votes to come it stands
//! against, and by which messages about it the replica would still take.

use std::hash::{Hash, Hasher};

use super::accept::Accepting;
use super::propose::Drive;
use super::{Place, Scope, World};
use crate::core::*;

impl World {
    /// Hashes what can still matter of what no single replica has.
    pub(super) fn hash_shared(&self, scope: &Scope, hasher: &mut impl Hasher) {
        (self.restarts, self.learners, &self.proposed).hash(hasher);
        if self.may_be_learnt(scope) {
            self.chosen.hash(hasher);
        }
        for drive in &self.drives {
            self.hash_decisions(drive, scope, hasher);
            if drive.over {
                continue;
            }
            let answers = drive.answers.iter();
            let mut answers: Vec<_> = answers.map(|(_, dep)| drive.part(*dep, scope)).collect();
            answers.sort_unstable();
            (drive.part(drive.vote.proposed, scope), answers).hash(hasher);
        }
        for recovery in &self.recoveries {
            (recovery.place, recovery.ballot.round).hash(hasher);
            let Some(drive) = self.drive_at(recovery.place) else {
                continue;
            };
            let reports = recovery.reports.iter().map(|(_, report)| report);
            let mut reports: Vec<_> = reports.map(|it| drive.part_of_report(it, scope)).collect();
            reports.sort_unstable();
            reports.hash(hasher);
        }
    }

    /// Hashes the attempts at an entry, if it may be asked which of them somebody has accepted, and what is decided or may
    /// be, if that is searched for.
    fn hash_decisions(&self, drive: &Drive, scope: &Scope, hasher: &mut impl Hasher) {
        let place = drive.place;
        (place, drive.over, self.is_contended(place)).hash(hasher);
        if self.may_be_asked(place, scope) {
            for attempt in self.accepting.iter().filter(|one| one.place == place) {
                let choice = drive.part_of_choice(&attempt.choice, scope);
                (attempt.ballot.round, choice).hash(hasher);
            }
        }
        if self.aim.places().any(|one| one == place) {
            let decisions = self.decisions(place);
            let mut decisions: Vec<_> = decisions
                .map(|it| drive.part_of_choice(it, scope))
                .collect();
            decisions.sort_unstable();
            decisions.dedup();
            decisions.hash(hasher);
        }
    }

    /// A pilot's attempt at an entry, if it has proposed it.
    pub(super) fn drive_at(&self, place: Place) -> Option<&Drive> {
        let mut drives = self.drives.iter();
        drives.find(|drive| drive.place == place).map(|it| &**it)
    }

    /// Hashes what can still matter of what a replica knows.
    pub(super) fn hash_replica(&self, replica: &Acceptor, scope: &Scope, hasher: &mut impl Hasher) {
        for recovery in &self.recoveries {
            recovery.report(replica.me()).is_some().hash(hasher);
        }
        let votes = self.votes_to_come(replica, scope);
        for drive in &self.drives {
            if self.may_be_asked(drive.place, scope) {
                self.hash_whole_entry(replica, drive, scope, hasher);
            } else {
                self.hash_entry(replica, drive, &votes, scope, hasher);
            }
        }
        for role in Role::BOTH {
            if self.is_to_propose(role, scope) && replica.me() == ReplicaId(role as u32) {
                let known = replica.log(role.other()).known();
                scope.left_out(role.other(), known).hash(hasher);
            }
        }
    }

    fn hash_whole_entry(
        &self,
        at: &Acceptor,
        drive: &Drive,
        scope: &Scope,
        hasher: &mut impl Hasher,
    ) {
        let (role, index) = drive.place;
        let entry = at.log(role).get(index).cloned().unwrap_or_default();
        let Entry {
            promised,
            vote,
            accepted,
            commit,
        } = entry;
        promised.map(|ballot| ballot.round).hash(hasher);
        vote.map(|vote| drive.part(vote.dep, scope)).hash(hasher);
        let of_choice = |choice| drive.part_of_choice(choice, scope);
        let accepted = accepted.as_ref();
        accepted
            .map(|(ballot, choice)| (ballot.round, of_choice(choice)))
            .hash(hasher);
        let commit = commit.as_ref();
        commit.map(|commit| of_choice(&commit.choice)).hash(hasher);
        drive.answer(at.me()).is_some().hash(hasher);
        for attempt in self.accepting.iter().filter(|one| one.place == drive.place) {
            attempt.accepted.contains(&at.me()).hash(hasher);
        }
    }

    fn hash_entry(
        &self,
        at: &Acceptor,
        drive: &Drive,
        votes: &[ToCome],
        scope: &Scope,
        hasher: &mut impl Hasher,
    ) {
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
        vote.map(|vote| scope.left_out(role.other(), vote.after))
            .hash(hasher);
        // A fast decision keeps its pilot from accepting an attempt that may just need it.
        if self.is_contended(place) && !drive.over {
            for attempt in about_it() {
                (attempt.accepted.contains(&at.me()) || attempt.is_open_at(at)).hash(hasher);
            }
        }
        against.len().hash(hasher);
        if against.is_empty() {
            return;
        }
        let attempts = about_it().map(|attempt| attempt.is_open_at(at).then_some(attempt));
        let attempts: Vec<_> = attempts
            .map(|attempt| attempt.map(|attempt| of_choice(&attempt.choice)))
            .collect();
        attempts.hash(hasher);
        let entry = entry.cloned().unwrap_or_default();
        let is_open = vote.is_some() || attempts.iter().any(Option::is_some);
        if is_open {
            conflicts(entry.vote.as_ref().map(|vote| vote.dep)).hash(hasher);
            let accepted = entry.accepted.as_ref();
            accepted.map(|(_, choice)| of_choice(choice)).hash(hasher);
        } else {
            conflicts(entry.recorded_dep()).hash(hasher);
        }
    }

    /// Whether somebody may ask what a replica knows of an entry.
    pub(super) fn may_be_asked(&self, place: Place, scope: &Scope) -> bool {
        self.restarts < scope.restarts
            || self.may_be_learnt(scope)
            || self.recoveries.iter().any(|one| one.place == place)
    }

    /// Whether replicas may hear of decisions.
    pub(super) fn may_be_learnt(&self, scope: &Scope) -> bool {
        self.learners < scope.learners
    }

    /// The votes that a replica has still to give and that matter: to whoever counts them or may ask for them, or because
    /// they stand against others that matter.
    pub(super) fn votes_to_come(&self, at: &Acceptor, scope: &Scope) -> Vec<ToCome> {
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
pub(super) struct ToCome {
    pub(super) place: Place,
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
    pub(super) fn looks_at(&self, (role, index): Place) -> bool {
        role != self.place.0 && index > self.after
    }
}

/// What matters of a dependency: whether it is what was proposed, and how many explored entries it leaves out.
type Part = (bool, u64);

impl Scope {
    /// How many of the explored entries of a log are after an index.
    fn left_out(&self, role: Role, dep: Index) -> u64 {
        let first = self.unexplored();
        let last = first + self.entries[role as usize];
        last.saturating_sub(dep.0.max(first))
    }
}

impl Drive {
    pub(super) fn part(&self, dep: Index, scope: &Scope) -> Part {
        let left_out = scope.left_out(self.place.0.other(), dep);
        (dep == self.vote.proposed, left_out)
    }

    fn part_of_choice(&self, choice: &Choice, scope: &Scope) -> Option<Part> {
        choice.value.is_some().then(|| self.part(choice.dep, scope))
    }

    /// Only whether a reported vote agrees is asked for.
    pub(super) fn part_of_report(
        &self,
        report: &Report,
        scope: &Scope,
    ) -> (Option<bool>, Option<(u32, Option<Part>)>) {
        let accepted = report.accepted.as_ref();
        let of_accepted = |(ballot, choice): &(Ballot, Choice)| {
            (ballot.round, self.part_of_choice(choice, scope))
        };
        let vote = report.vote.as_ref().map(Vote::is_ok);
        (vote, accepted.map(of_accepted))
    }

    /// Whether a replica that has not voted would.
    pub(super) fn is_open_at(&self, at: &Acceptor) -> bool {
        let (role, index) = self.place;
        let refuses = |entry: &Entry| {
            let promised = entry.promised.is_some_and(|it| it > self.vote.ballot());
            entry.commit.is_some() || entry.accepted.is_some() || promised
        };
        self.answer(at.me()).is_none() && !at.log(role).get(index).is_some_and(refuses)
    }

    /// How a replica has voted, or the least that it may, as long as nobody hears of decisions: what it has voted for stands
    /// against others for ever then.
    pub(super) fn least_vote(&self, at: &Acceptor) -> Option<Index> {
        let ((role, index), proposed) = (self.place, self.vote.proposed);
        let voted = |role, index| Some(at.log(role).get(index)?.vote.as_ref()?.dep);
        let stands_against =
            |later: &Index| voted(role.other(), *later).is_some_and(|dep| dep < index);
        let to_come = || {
            let later = proposed.until(at.log(role.other()).known());
            later.rev().find(stands_against).unwrap_or(proposed)
        };
        voted(role, index).or_else(|| self.is_open_at(at).then(to_come))
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
