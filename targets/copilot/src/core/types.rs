//! The numbers of the protocol.

use std::fmt;
use std::ops;

/// A member of the group.
pub use depfast::NodeId as ReplicaId;

/// One of the two that order commands, and the log that it owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Its log has priority where dependencies form a cycle.
    Pilot,
    /// The other one.
    Copilot,
}

impl Role {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Pilot, Self::Copilot];

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Pilot => Self::Copilot,
            Self::Copilot => Self::Pilot,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pilot => "pilot",
            Self::Copilot => "copilot",
        })
    }
}

/// Something that exists once for each role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Both<T>([T; 2]);

impl<T> Both<T> {
    /// Makes one for each role.
    pub fn new(mut make: impl FnMut(Role) -> T) -> Self {
        Self(Role::BOTH.map(&mut make))
    }
}

impl<T> ops::Index<Role> for Both<T> {
    type Output = T;

    fn index(&self, role: Role) -> &T {
        &self.0[role as usize]
    }
}

impl<T> ops::IndexMut<Role> for Both<T> {
    fn index_mut(&mut self, role: Role) -> &mut T {
        &mut self.0[role as usize]
    }
}

/// A position in a log; the first entry has index 1.
///
/// As a dependency: "after all of the other log up to here", and [`ZERO`](Self::ZERO) is "after nothing".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

impl Index {
    /// The position before the first entry.
    pub const ZERO: Self = Self(0);

    /// The position that follows.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The position before, or [`ZERO`](Self::ZERO).
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The positions after this one up to `last`.
    pub fn until(self, last: Self) -> impl DoubleEndedIterator<Item = Self> + use<> {
        (self.0 + 1..=last.0).map(Self)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A period in which one replica has a role.
///
/// A view names the first index at which its pilot may propose, so that whoever learns of the view knows which entries
/// of earlier views cannot be committed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    /// Counts up.
    pub number: u64,
    /// Who has the role.
    pub pilot: ReplicaId,
    /// Where its entries begin.
    pub start: Index,
}

impl View {
    /// What orders views: two views with the same name are the same.
    pub const fn name(&self) -> (u64, ReplicaId) {
        (self.number, self.pilot)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}@{}", self.number, self.pilot, self.start)
    }
}

/// An attempt at deciding an entry. A higher one wins, and of a higher view all the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// The view of the entry's role.
    pub view: View,
    /// 0 is the pilot's proposal, the only one that may be committed on the fast path.
    pub round: u32,
    /// Whose attempt it is.
    pub proposer: ReplicaId,
}

impl Ballot {
    /// The ballot of the proposal by the view's pilot.
    pub const fn initial(view: View) -> Self {
        Self {
            view,
            round: 0,
            proposer: view.pilot,
        }
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.view, self.round, self.proposer)
    }
}

/// The sizes of a group's quorums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quorums {
    /// How many members there are: `2f + 1`.
    pub members: usize,
}

impl Quorums {
    /// How many members may fail: `f`.
    pub const fn faults(self) -> usize {
        (self.members - 1) / 2
    }

    /// A regular quorum: `f + 1`.
    pub const fn majority(self) -> usize {
        self.faults() + 1
    }

    /// A fast quorum: `2f`, all but one.
    ///
    /// The paper's is `f + floor((f + 1) / 2)`, which is smaller from five replicas on. With all but one a recovery is
    /// never in doubt whether an entry may have been committed on the fast path, so that it never has to recover
    /// entries of the other log first. The price is one more round trip while two of five are slow at the same time.
    pub const fn fast(self) -> usize {
        2 * self.faults()
    }
}
