//! Ways to break the protocol, for tests of the tests.

/// One mistake that a replica makes on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Takes the fast path on any votes, also on those that find the dependency wrong.
    CountEveryVote,
    /// Accepts its own proposal while it has another dependency accepted by the others.
    AcceptTwoValues,
    /// Decides its own proposal, as on the fast path, after it had another dependency accepted.
    FastAfterAccept,
    /// Says that a majority knows a dependency, whoever knows it.
    SeenByMajority,
}
