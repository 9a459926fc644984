//! What replicas say to each other.

use crate::core::{Ballot, Both, Choice, Commit, Index, Role, Standing, Value, View};
use crate::wire::{Wire, fields};

/// The number of the call that carries a [`FastAccept`].
pub const FAST_ACCEPT: u8 = 1;
/// The number of the call that carries an [`Accept`].
pub const ACCEPT: u8 = 2;
/// The number of the call that carries a [`Prepare`].
pub const PREPARE: u8 = 3;
/// The number of the message that carries a [`Decided`].
pub const DECIDED: u8 = 4;
/// The number of the call that carries a [`Learn`].
pub const LEARN: u8 = 5;
/// The number of the message that carries groups of commands.
pub const SUBMIT: u8 = 6;
/// The number of the message that carries a [`Beat`].
pub const BEAT: u8 = 7;
/// The number of the call that carries a [`ViewRequest`].
pub const VIEW: u8 = 8;

/// The number of the call that carries a [`SnapshotRequest`].
pub const SNAPSHOT: u8 = 9;

/// A pilot proposes an entry of its log.
#[derive(Clone, Debug)]
pub struct FastAccept {
    /// Whose log.
    pub role: Role,
    /// Where in it.
    pub index: Index,
    /// What, and in which view.
    pub value: Value,
    /// The last entry of the other log that the pilot knows.
    pub dep: Index,
    /// The view of the other role in which it knows it.
    pub dep_view: View,
}

/// Somebody wants a choice accepted: the pilot on the regular path, or whoever recovers the entry.
#[derive(Clone, Debug)]
pub struct Accept {
    /// Whose log.
    pub role: Role,
    /// Where in it.
    pub index: Index,
    /// Which attempt.
    pub ballot: Ballot,
    /// What.
    pub choice: Choice,
    /// As in [`FastAccept`].
    pub dep_view: View,
}

/// Somebody wants to know what may have been chosen.
#[derive(Clone, Copy, Debug)]
pub struct Prepare {
    /// Whose log.
    pub role: Role,
    /// Where in it.
    pub index: Index,
    /// Which attempt.
    pub ballot: Ballot,
}

/// An entry is decided. The batch is named by its view: whoever voted holds it.
#[derive(Clone, Copy, Debug)]
pub struct Decided {
    /// Whose log.
    pub role: Role,
    /// Where in it.
    pub index: Index,
    /// The batch, or nothing: a no-op.
    pub origin: Option<View>,
    /// Its dependency.
    pub dep: Index,
    /// As in [`Commit`].
    pub dep_seen: Option<View>,
}

/// Somebody lacks decisions.
#[derive(Clone, Copy, Debug)]
pub struct Learn {
    /// Of which log.
    pub role: Role,
    /// From where on.
    pub from: Index,
}

/// Decisions, the first one for the index that was asked for.
pub type Lesson = Vec<Commit>;

/// A replica lives. Everyone says so from time to time.
#[derive(Clone, Debug)]
pub struct Beat {
    /// What it knows of the views.
    pub views: Both<Standing>,
    /// Which of them it serves as pilot.
    pub serves: Both<bool>,
    /// Up to where it knows everything decided.
    pub committed: Both<Index>,
    /// Up to where it has executed everything.
    pub executed: Both<Index>,
}

/// Somebody lacks decisions that were forgotten, and wants the state that they led to, piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotRequest {
    /// By this the asker's attempts to get a snapshot are told apart, as all pieces must be of the same moment.
    pub attempt: u64,
    /// Which piece; the first one is number 0, and makes the snapshot.
    pub piece: u64,
    /// How many commands the asker has executed: it needs the store only of one that has executed more.
    pub applied: u64,
}

/// Somebody wants a role.
#[derive(Clone, Copy, Debug)]
pub struct ViewRequest {
    /// Which one.
    pub role: Role,
    /// The number of the view that is to begin; its pilot is the sender.
    pub number: u64,
    /// Whether it only asks if it would have the promise; nobody's state changes.
    pub trial: bool,
}

/// The answer: the index after everything seen.
pub type ViewReply = Index;

fields!(FastAccept {
    role,
    index,
    value,
    dep,
    dep_view
});
fields!(Accept {
    role,
    index,
    ballot,
    choice,
    dep_view
});
fields!(Prepare {
    role,
    index,
    ballot
});
fields!(Decided {
    role,
    index,
    origin,
    dep,
    dep_seen
});
fields!(Learn { role, from });
fields!(SnapshotRequest {
    attempt,
    piece,
    applied
});
fields!(Beat {
    views,
    serves,
    committed,
    executed
});
fields!(ViewRequest {
    role,
    number,
    trial
});

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::core::{AcceptReply, FastReply, Record, Refusal, Report};

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            let _whatever = FastAccept::decode(bytes.clone());
            let _whatever = Accept::decode(bytes.clone());
            let _whatever = Decided::decode(bytes.clone());
            let _whatever = Lesson::decode(bytes.clone());
            let _whatever = Beat::decode(bytes.clone());
            let _whatever = Record::decode(bytes.clone());
            let _whatever = Result::<Report, Refusal>::decode(bytes.clone());
            let _whatever = Result::<FastReply, Refusal>::decode(bytes.clone());
            let _whatever = Result::<AcceptReply, Refusal>::decode(bytes);
        }
    }
}
