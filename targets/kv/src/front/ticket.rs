//! The claim of one request to its answer.

use std::rc::Weak;

use bytes::BytesMut;
use resp::{Protocol, encode};

use super::connection::Connection;
use crate::replica::Refusal;

/// A request's claim to exactly one answer, in its turn.
#[must_use = "a request that is never answered blocks its connection"]
pub struct Ticket {
    /// Its own coroutine keeps it until every ticket is answered. The replica, which the connection holds, holds tickets.
    pub(super) connection: Weak<Connection>,
    pub(super) turn: u64,
    /// Of its first key.
    pub(super) slot: u16,
    /// What its client understands.
    pub(super) protocol: Protocol,
}

impl Ticket {
    /// Has `write` append the answer, as RESP2 has it; the client gets it as it understands it.
    pub fn answer(self, write: impl FnOnce(&mut BytesMut)) {
        self.answer_as(|out, protocol| match protocol {
            Protocol::V2 => write(out),
            Protocol::V3 => {
                let mut plain = BytesMut::new();
                write(&mut plain);
                protocol.translate(&plain, out);
            }
        });
    }

    /// Has `write` append the answer as that protocol has it.
    pub(super) fn answer_as(self, write: impl FnOnce(&mut BytesMut, Protocol)) {
        if let Some(connection) = self.connection.upgrade() {
            Connection::answer(&connection, self.turn, |out| write(out, self.protocol));
        }
    }

    /// Whether everything that was asked before on its connection is answered.
    pub fn is_next(&self) -> bool {
        (self.connection.upgrade()).is_none_or(|connection| connection.turn() == self.turn)
    }

    /// Answers that it was done.
    pub fn ok(self) {
        self.answer(|out| encode::simple(out, "OK"));
    }

    /// Answers with an error that says what the client can do.
    pub fn refuse(self, refusal: Refusal) {
        let slot = self.slot;
        let connection = self.connection.clone();
        self.answer(|out| match refusal {
            Refusal::NotLeader(leader) => {
                let connection = connection.upgrade();
                let front = connection.as_ref().map(|connection| connection.front());
                match leader.and_then(|leader| front?.address(leader)) {
                    Some(address) => encode::error(out, &format!("MOVED {slot} {address}")),
                    None => encode::error(out, "CLUSTERDOWN no leader is known at present"),
                }
            }
            Refusal::Busy => encode::error(out, "TRYAGAIN too many requests are under way"),
            Refusal::NoSpace => encode::error(
                out,
                "MISCONF the disk of the leader or those of a majority are full: writes are refused until there is room, reads are served",
            ),
            Refusal::Rejected(reason) => encode::error(out, &format!("ERR {reason}")),
            Refusal::Unknown => encode::error(
                out,
                "UNKNOWN leadership was lost: the request may or may not take effect",
            ),
        });
    }
}
