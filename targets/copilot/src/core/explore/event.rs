//! What happens at one replica, and when the order of two such things matters.

use super::Place;
use crate::core::*;

/// What happens at a replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Event {
    /// It proposes its next entry.
    Propose(Role),
    /// It answers a proposal with this dependency.
    FastAccept(Place, Index),
    /// It accepts a choice.
    Accept(Place),
    /// It promises.
    Prepare(Place),
    /// It learns a decision.
    Commit(Place),
    /// It starts anew.
    Restart,
}

impl Event {
    /// Whether it may make a difference which of both comes first at a replica.
    ///
    /// Only votes look at entries of the other log: at those after the proposed dependency.
    pub(super) fn conflicts(self, other: Self) -> bool {
        use Event::{Accept, Commit, FastAccept, Prepare, Propose, Restart};
        match (self, other) {
            (Restart, _) | (_, Restart) => true,
            (Propose(role), event) | (event, Propose(role)) => {
                !matches!(event, Prepare(_)) && event.role() != Some(role)
            }
            (FastAccept(one, dep), FastAccept(two, again)) if one.0 != two.0 => {
                two.1 > dep && one.1 > again
            }
            (FastAccept(voted, dep), Accept(place) | Commit(place))
            | (Accept(place) | Commit(place), FastAccept(voted, dep))
                if voted.0 != place.0 =>
            {
                place.1 > dep
            }
            _ => self.place() == other.place(),
        }
    }

    fn role(self) -> Option<Role> {
        self.place().map(|(role, _)| role)
    }

    fn place(self) -> Option<Place> {
        match self {
            Self::Propose(_) | Self::Restart => None,
            Self::FastAccept(place, _)
            | Self::Accept(place)
            | Self::Prepare(place)
            | Self::Commit(place) => Some(place),
        }
    }
}
