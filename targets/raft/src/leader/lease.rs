//! Reads that ask nobody.
//!
//! A voter that has answered this leader votes for nobody else during the shortest election timeout from then on. So for
//! nine tenths of that time from the *beginning* of a round that a majority has answered, nobody else can have been
//! elected, provided that clocks differ by less than a tenth in their rate. A leader that has told another to stand for
//! election gives its lease up for the rest of its term, because that candidate's voters do not wait.

use std::time::Duration;

use depfast::Instant;
use kv::Ticket;

use super::Leading;
use crate::config::Reads;
use crate::mutation::Mutation;
use crate::replica::Raft;
use crate::state::Standing;

impl Raft {
    /// Whether a read may be answered from the store as it is.
    pub(crate) fn may_answer_now(&self, ticket: &Ticket) -> bool {
        if self.reads == Reads::Quorum && !self.mutates(Mutation::UncheckedRead) {
            return false;
        }
        let state = self.state.borrow();
        let Standing::Leader(leading) = &state.standing else {
            return false;
        };
        // What the same client asked before comes first.
        if !leading.settled || !ticket.is_next() {
            return false;
        }
        let lease = self.timing.election_timeout.start / 10 * 9;
        leading.has_lease(self.env.now(), lease)
            || self.mutates(Mutation::UncheckedRead)
            || self.mutates(Mutation::StaleLease)
    }
}

impl Leading {
    fn has_lease(&self, now: Instant, lease: Duration) -> bool {
        let fresh = |began: Instant| now.since(began) < lease;
        !self.lease_is_lost && self.confirmed.is_some_and(fresh)
    }
}
