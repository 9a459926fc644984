//! Ways to break the protocol, for tests of the tests.

/// One mistake that a replica makes on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Grants its vote to every candidate that asks, twice in a term.
    VoteTwice,
    /// As a leader, takes an entry of an earlier term for committed as soon as a majority holds it.
    CommitOldTerm,
    /// Answers its peers before what it promises is on stable storage.
    SkipFsync,
    /// Believes in its lease as long as it believes that it leads.
    StaleLease,
    /// Answers reads as long as it believes that it leads, and asks nobody.
    UncheckedRead,
}
