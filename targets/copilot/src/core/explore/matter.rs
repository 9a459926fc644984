//! What of a state can still matter: states that differ in nothing else are one.
//!
//! An entry at a replica matters as a whole while somebody may ask for it; else it matters by the dependency that it holds
//! against entries of the other log, while votes on such are to come, and by which messages about it the replica would
//! still take.

use std::hash::{Hash, Hasher};

use super::accept::Accepting;
use super::propose::Drive;
use super::{Scope, World};
use crate::core::*;

impl World {
    /// Hashes what can still matter.
    pub(super) fn hash_what_matters(&self, scope: &Scope, hasher: &mut impl Hasher) {
        let budgets = (self.takeovers, self.restarts, self.learners);
        (budgets, &self.proposed, &self.chosen, &self.recoveries).hash(hasher);
        for drive in &self.drives {
            (drive.place, drive.vote.proposed, drive.over).hash(hasher);
            if !drive.over {
                drive.answers.hash(hasher);
            }
        }
        for accepting in &self.accepting {
            let Accepting {
                place,
                ballot,
                choice,
                accepted,
            } = accepting;
            (place, ballot, choice).hash(hasher);
            if !self.is_chosen(accepting) {
                accepted.hash(hasher);
            }
        }
        for replica in &self.replicas {
            for drive in &self.drives {
                self.hash_entry(replica, drive, scope, hasher);
            }
            for role in Role::BOTH {
                if self.is_to_propose(role, scope) && replica.me() == ReplicaId(role as u32) {
                    replica.log(role.other()).known().hash(hasher);
                }
            }
        }
    }

    fn hash_entry(&self, at: &Acceptor, drive: &Drive, scope: &Scope, hasher: &mut impl Hasher) {
        let place @ (role, index) = drive.place;
        let entry = at.log(role).get(index);
        let about_it = || self.accepting.iter().filter(|one| one.place == place);
        let may_be_asked = self.takeovers < scope.takeovers
            || self.restarts < scope.restarts
            || self.learners < scope.learners
            || self.recoveries.iter().any(|one| one.place == place);
        if may_be_asked {
            (entry, drive.answer(at.me()).is_some()).hash(hasher);
            about_it().for_each(|one| one.accepted.contains(&at.me()).hash(hasher));
            return;
        }
        let is_held_against = self.is_to_propose(role.other(), scope)
            || self
                .drives
                .iter()
                .any(|other| other.place.0 == role.other() && other.is_open_at(at));
        let vote = drive.is_open_at(at) && (is_held_against || !drive.over);
        let mut open = vote;
        vote.hash(hasher);
        for accepting in about_it() {
            let accept =
                accepting.is_open_at(at) && (is_held_against || !self.is_chosen(accepting));
            open |= accept;
            accept.hash(hasher);
        }
        if is_held_against && open {
            entry.hash(hasher);
        } else if is_held_against {
            entry.and_then(Entry::recorded_dep).hash(hasher);
        }
    }

    fn is_to_propose(&self, role: Role, scope: &Scope) -> bool {
        self.proposed[role as usize] < scope.entries[role as usize]
    }

    fn is_chosen(&self, accepting: &Accepting) -> bool {
        accepting.accepted.len() >= self.quorums().majority()
    }
}

impl Drive {
    /// Whether a replica that has not voted would.
    fn is_open_at(&self, at: &Acceptor) -> bool {
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
    fn is_open_at(&self, at: &Acceptor) -> bool {
        let (role, index) = self.place;
        let refuses = |entry: &Entry| {
            entry.commit.is_some() || entry.promised.is_some_and(|it| it > self.ballot)
        };
        !self.accepted.contains(&at.me()) && !at.log(role).get(index).is_some_and(refuses)
    }
}
