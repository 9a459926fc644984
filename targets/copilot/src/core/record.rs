//! What a replica must not forget: every change of its state, as a log file keeps it.

use super::entry::{Choice, Commit, Vote};
use super::types::{Ballot, Index, ReplicaId, Role, View};

/// A change of a replica's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// It answered a proposal.
    Voted(Role, Index, Vote),
    /// It accepted a choice.
    Accepted(Role, Index, Ballot, Choice),
    /// It promised to refuse lower attempts.
    Promised(Role, Index, Ballot),
    /// It learned a decision.
    Committed(Role, Index, Commit),
    /// It promised to take no part in earlier views.
    ViewPromised(Role, u64, ReplicaId),
    /// It entered a view.
    ViewEntered(Role, View),
}
