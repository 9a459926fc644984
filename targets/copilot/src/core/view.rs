//! Views of a role: who has it.
//!
//! A change of view is the first phase of consensus for all entries of a log at once: whoever wants the role has a
//! majority promise to take no part in earlier views, and begins after everything that they have seen. What was
//! committed in an earlier view was voted for by a majority, so it lies before that beginning. The view that results is
//! named in every message, so that whoever missed it learns it with the first one.

use super::acceptor::Acceptor;
use super::record::Record;
use super::reply::Refusal;
use super::types::{Index, ReplicaId, Role, View};

/// What a replica knows of the views of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The latest view that it has entered.
    pub current: View,
    /// The latest view that it knows somebody tried to have.
    pub promised: (u64, ReplicaId),
}

impl Standing {
    /// The first view: `pilot` has the role from the beginning.
    pub const fn first(pilot: ReplicaId) -> Self {
        Self {
            current: View {
                number: 0,
                pilot,
                start: Index(1),
            },
            promised: (0, pilot),
        }
    }

    /// Whether nobody is about to take the role over, as far as the replica knows.
    pub fn is_active(&self) -> bool {
        self.promised <= self.current.name()
    }
}

impl Acceptor {
    /// Promises to take no part in views of `role` before `name`; returns the index after everything that it has seen.
    ///
    /// # Errors
    ///
    /// A later view is known, or the same one to somebody else.
    pub fn promise_view(&mut self, role: Role, name: (u64, ReplicaId)) -> Result<Index, Refusal> {
        let standing = &mut self.views[role];
        if name <= standing.current.name() || name < standing.promised {
            return Err(Refusal::View(*standing));
        }
        if name > standing.promised {
            standing.promised = name;
            self.note(|| Record::ViewPromised(role, name.0, name.1));
        }
        Ok(self.logs[role].last().next())
    }

    /// Learns what another replica knows of the views of a role. Somebody else's promise is as good a reason to take no
    /// part any more as an own one: the role is about to change, or somebody tried and has to try again.
    pub fn learn_standing(&mut self, role: Role, other: Standing) {
        let _known_already = self.enter(role, other.current);
        let standing = &mut self.views[role];
        if other.promised > standing.promised.max(standing.current.name()) {
            standing.promised = other.promised;
            self.note(|| Record::ViewPromised(role, other.promised.0, other.promised.1));
        }
    }

    /// Enters the view of a message, if it is a later one.
    ///
    /// # Errors
    ///
    /// The view of the message is over.
    pub fn enter(&mut self, role: Role, view: View) -> Result<(), Refusal> {
        let standing = &mut self.views[role];
        if view.name() < standing.promised.max(standing.current.name()) {
            return Err(Refusal::View(*standing));
        }
        if view.name() > standing.current.name() {
            standing.current = view;
            standing.promised = view.name();
            self.logs[role].drop_undecided(view.start);
            self.note(|| Record::ViewEntered(role, view));
        }
        Ok(())
    }
}
