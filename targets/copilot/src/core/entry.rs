//! What a replica knows of one entry.

use crate::batch::Batch;

use super::types::{Ballot, Index, View};

/// A batch that a pilot proposed. Within one index its view identifies it: a pilot proposes one batch there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    /// The view in which it was proposed.
    pub origin: View,
    /// The commands.
    pub batch: Batch,
}

/// What may be decided for an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The commands, or nothing: a no-op.
    pub value: Option<Value>,
    /// Everything of the other log up to here comes before them.
    pub dep: Index,
}

impl Choice {
    /// Nothing at all, which is legal wherever no other choice may have been committed.
    pub const NOOP: Self = Self {
        value: None,
        dep: Index::ZERO,
    };

    /// Whether both say the same; batches are told apart by their views.
    pub fn is_same(&self, other: &Self) -> bool {
        let origin = |choice: &Self| choice.value.as_ref().map(|value| value.origin);
        self.dep == other.dep && origin(self) == origin(other)
    }
}

/// A replica's answer to the pilot's proposal. It is kept as it was given until the entry is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vote {
    /// What was proposed; its view gives the ballot.
    pub value: Value,
    /// The dependency that was proposed.
    pub proposed: Index,
    /// The dependency that this replica answered: the proposed one if it is compatible.
    pub dep: Index,
}

impl Vote {
    /// Whether the replica found the proposed dependency compatible.
    pub fn is_ok(&self) -> bool {
        self.proposed == self.dep
    }

    /// The proposal's ballot.
    pub const fn ballot(&self) -> Ballot {
        Ballot::initial(self.value.origin)
    }

    /// What is chosen if the proposal wins.
    pub fn proposal(&self) -> Choice {
        Choice {
            value: Some(self.value.clone()),
            dep: self.proposed,
        }
    }
}

/// A decided entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commit {
    /// The decision.
    pub choice: Choice,
    /// The view of the other role in which a majority knew the dependency: no later view begins before it.
    pub dep_seen: Option<View>,
}

/// What a replica knows of one entry. The fields are kept apart: a recovery may need each as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Attempts below this one are refused.
    pub promised: Option<Ballot>,
    /// The answer to the pilot's proposal.
    pub vote: Option<Vote>,
    /// What was accepted last.
    pub accepted: Option<(Ballot, Choice)>,
    /// What was decided.
    pub commit: Option<Commit>,
}

impl Entry {
    /// Whether anything was said about what it contains.
    pub const fn is_known(&self) -> bool {
        self.vote.is_some() || self.accepted.is_some() || self.commit.is_some()
    }

    /// The dependency that counts when the compatibility of entries of the other log is judged; `None` if the entry
    /// stands in nobody's way.
    pub fn recorded_dep(&self) -> Option<Index> {
        if let Some(commit) = &self.commit {
            return commit.choice.value.as_ref().map(|_| commit.choice.dep);
        }
        let voted = self.vote.as_ref().map(|vote| vote.dep);
        let accepted = self
            .accepted
            .as_ref()
            .and_then(|(_, choice)| choice.value.as_ref().map(|_| choice.dep));
        match (voted, accepted) {
            (Some(voted), Some(accepted)) => Some(voted.min(accepted)),
            (one, other) => one.or(other),
        }
    }

    /// The batch of `origin`, if it is known.
    pub fn batch_of(&self, origin: View) -> Option<&Value> {
        let voted = self.vote.as_ref().map(|vote| &vote.value);
        let accepted = self
            .accepted
            .as_ref()
            .and_then(|(_, choice)| choice.value.as_ref());
        [voted, accepted]
            .into_iter()
            .flatten()
            .find(|value| value.origin == origin)
    }
}
