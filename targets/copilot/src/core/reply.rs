//! What a replica answers to attempts at deciding an entry.

use super::entry::Commit;
use super::types::{Ballot, Index};
use super::view::Standing;

/// Why an attempt is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The role is in another view by now, or about to be.
    View(Standing),
    /// A higher attempt was promised.
    Promised(Ballot),
    /// The entry is decided already.
    Committed(Commit),
    /// The entry is decided, executed and forgotten; the log begins after this index.
    Forgotten(Index),
}

/// The answer to a pilot's proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FastReply {
    /// The dependency that this replica finds right.
    pub dep: Index,
    /// Whether this replica knows the proposed dependency, in the view of the other role that the proposal names.
    pub dep_seen: bool,
}

/// The answer to an attempt at having a choice accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcceptReply {
    /// As in [`FastReply`].
    pub dep_seen: bool,
}
