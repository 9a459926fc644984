//! What a replication protocol offers to the front end.

use std::fmt;

use depfast::NodeId;

use crate::command::{Command, Query};
use crate::front::Ticket;

/// A member of a replicated store.
///
/// Every ticket is answered exactly once, now or later, by [`Ticket::answer`] or [`Ticket::refuse`].
pub trait Replica {
    /// Orders a change, or a stamped question. Its ticket is answered when it is durable on a quorum and applied.
    fn write(&self, command: Command<'_>, ticket: Ticket);

    /// Answers a question so that it sees every change answered before it was asked.
    fn read(&self, query: Query, ticket: Ticket);

    /// What the replica is and knows now.
    fn status(&self) -> Status;

    /// Changes who belongs to the group (`DF.MEMBER ADD|REMOVE`). Its ticket is answered with `OK` when the change is
    /// committed. A member that is added gets what it lacks first, so that may take long.
    fn change_members(&self, change: MemberChange, ticket: Ticket) {
        let _unused = change;
        ticket.refuse(Refusal::Rejected("this system cannot change its members"));
    }

    /// The members as this replica knows them, by id (`DF.MEMBER LIST`).
    fn members(&self) -> Vec<MemberInfo> {
        Vec::new()
    }

    /// Has another member lead (`DF.TRANSFER`): this one, or whichever is fit. Its ticket is answered with `OK` when that
    /// is under way.
    fn transfer(&self, to: Option<NodeId>, ticket: Ticket) {
        let _unused = to;
        ticket.refuse(Refusal::Rejected("this system cannot transfer leadership"));
    }

    /// Where two members order changes side by side: which these are, as far as is known, the prior one first.
    fn pilots(&self) -> [Option<NodeId>; 2] {
        [None; 2]
    }
}

/// A change of the group, by one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Takes a new member in; it must already run, started to join.
    Add {
        /// Its number, never used before.
        id: NodeId,
        /// Where its peers reach it, `host:port`.
        peer: String,
        /// Where clients reach it, `host:port`.
        client: String,
    },
    /// Leaves a member out.
    Remove(NodeId),
}

/// One member of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its number.
    pub id: NodeId,
    /// Where its peers reach it, `host:port`.
    pub peer: String,
    /// Where clients reach it, `host:port`.
    pub client: String,
    /// Whether it counts in quorums; one that does not is still learning.
    pub voter: bool,
}

/// What a replica is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It orders changes.
    Leader,
    /// It follows a leader.
    Follower,
    /// It seeks to become leader.
    Candidate,
    /// It catches up and does not count yet.
    Learner,
    /// It orders changes, beside a copilot.
    Pilot,
    /// It orders changes, beside a pilot.
    Copilot,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Pilot => "pilot",
            Self::Copilot => "copilot",
        })
    }
}

/// A moment in a replica's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which member it is.
    pub id: NodeId,
    /// What it is.
    pub role: Role,
    /// Whom it believes to lead.
    pub leader: Option<NodeId>,
    /// Its term, view or ballot.
    pub term: u64,
    /// Up to where it knows the log to be committed.
    pub commit: u64,
    /// Up to where it has applied the log.
    pub applied: u64,
    /// The last entry of its log.
    pub last: u64,
    /// How many keys it holds.
    pub keys: usize,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            role,
            term,
            commit,
            applied,
            last,
            ..
        } = self;
        write!(
            f,
            "{id} {role} term={term} applied={applied}/{commit}/{last}"
        )?;
        self.leader
            .map_or(Ok(()), |leader| write!(f, " leader={leader}"))
    }
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another member leads, or nobody is known to. The request had no effect here.
    NotLeader(Option<NodeId>),
    /// Too many requests are under way. The request had no effect.
    Busy,
    /// Leadership was lost meanwhile: the request may or may not have taken effect, or may still.
    Unknown,
    /// The disk is full: changes are refused until there is room, questions are answered. The request had no effect.
    NoSpace,
    /// It cannot be done, for this reason. The request had no effect.
    Rejected(&'static str),
}
