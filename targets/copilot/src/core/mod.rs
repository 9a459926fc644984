//! The state of one replica without time, network or disk: what it votes, accepts, promises, decides and executes.
//!
//! Everything here is plain data and plain functions, so that a test can copy, compare and hash it and walk through
//! every order of messages.

mod acceptor;
mod choose;
mod decide;
mod entry;
#[cfg(test)]
mod explore;
mod log;
#[cfg(test)]
mod merge;
mod order;
mod record;
mod reply;
mod types;
mod view;

pub use acceptor::{Acceptor, Proposal};
pub use choose::{Report, choose};
pub use decide::{final_dependency, majority_saw};
pub use entry::{Choice, Commit, Entry, Value, Vote};
pub use log::Log;
pub use record::Record;
pub use reply::{AcceptReply, FastReply, Refusal};
pub use types::{Ballot, Both, Index, Quorums, ReplicaId, Role, View};
pub use view::Standing;
