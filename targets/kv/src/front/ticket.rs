//! The claim of one request to its answer.

use std::rc::Rc;

use bytes::BytesMut;
use resp::encode;

use super::connection::Connection;
use crate::replica::Refusal;

/// A request's claim to exactly one answer, in its turn.
#[must_use = "a request that is never answered blocks its connection"]
pub struct Ticket {
    pub(super) connection: Rc<Connection>,
    pub(super) turn: u64,
}

impl Ticket {
    /// Has `write` append the answer.
    pub fn answer(self, write: impl FnOnce(&mut BytesMut)) {
        Connection::answer(&self.connection, self.turn, write);
    }

    /// Answers that it was done.
    pub fn ok(self) {
        self.answer(|out| encode::simple(out, "OK"));
    }

    /// Answers with an error that says what the client can do.
    pub fn refuse(self, refusal: Refusal) {
        let shared = Rc::clone(self.connection.shared());
        let addresses = &shared.front.addresses;
        self.answer(|out| match refusal {
            Refusal::NotLeader(leader) => match leader.and_then(|leader| addresses.get(&leader)) {
                Some(address) => encode::error(out, &format!("MOVED 0 {address}")),
                None => encode::error(out, "CLUSTERDOWN no leader is known at present"),
            },
            Refusal::Busy => encode::error(out, "TRYAGAIN too many requests are under way"),
            Refusal::Unknown => {
                encode::error(
                    out,
                    "UNKNOWN leadership was lost: the request may or may not take effect",
                );
            }
            Refusal::NoSpace => {
                encode::error(
                    out,
                    "MISCONF the leader's disk is full: writes are refused until there is room, reads are served",
                );
            }
            Refusal::Rejected(reason) => encode::error(out, &format!("ERR {reason}")),
        });
    }
}
