//! The state of one replica, between two steps of its coroutines.

use bytes::BytesMut;
use depfast::Instant;
use kv::{Role, Store};

use crate::install::Incoming;
use crate::leader::Leading;
use crate::membership::{self, Membership};
use crate::storage::{Batch, HardState, Log};
use crate::types::{LogIndex, ReplicaId, Term};

pub(crate) struct State {
    pub(crate) hard: HardState,
    pub(crate) log: Log,
    pub(crate) commit: LogIndex,
    pub(crate) applied: LogIndex,
    pub(crate) store: Store,
    pub(crate) membership: Membership,
    pub(crate) leader: Option<ReplicaId>,
    pub(crate) standing: Standing,
    /// When a leader was last heard.
    pub(crate) contact: Instant,
    /// From when on the patience of the election coroutine counts.
    pub(crate) patience_from: Instant,
    /// How many leaders in a row handed over because they were slow, the last time to this replica.
    pub(crate) handovers: u32,
    /// Counts the snapshots that were received and have replaced the store.
    pub(crate) installed: u64,
    /// Whether a part of a snapshot is being written.
    pub(crate) receiving: bool,
    pub(crate) incoming: Option<Incoming>,
}

/// What a replica is to its group, with what only that needs.
pub(crate) enum Standing {
    Follower,
    Candidate,
    Leader(Leading),
}

impl State {
    pub(crate) const fn term(&self) -> Term {
        self.hard.term
    }

    pub(crate) const fn role(&self) -> Role {
        match self.standing {
            Standing::Follower => Role::Follower,
            Standing::Candidate => Role::Candidate,
            Standing::Leader(_) => Role::Leader,
        }
    }

    /// What the replica holds as the leader of `term`, if it is that.
    pub(crate) const fn leading(&mut self, term: Term) -> Option<&mut Leading> {
        match &mut self.standing {
            Standing::Leader(leading) if self.hard.term.0 == term.0 => Some(leading),
            _ => None,
        }
    }

    /// Applies what is committed of a batch; nobody waits for the answers here.
    pub(crate) fn apply_unasked(&mut self, batch: &Batch) {
        let mut unread = BytesMut::new();
        for (index, entry) in (batch.first().0..).map(LogIndex).zip(batch.entries()) {
            if index == self.applied.next() && index <= self.commit {
                if !membership::is_internal(entry) {
                    self.store.apply(entry, &mut unread);
                    unread.clear();
                }
                self.applied = index;
            }
        }
    }
}
