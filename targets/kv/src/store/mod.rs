//! The state machine.

mod apply;
mod map;
mod sessions;
mod snapshot;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use resp::encode;

use crate::command::{Command, Op, Query, Stamp};
pub use apply::VALUE_BYTES;
use map::Map;
pub use sessions::WINDOW;
use sessions::{Admission, Sessions};
pub use snapshot::{BadSnapshot, Restoring, Snapshot};

/// The keys with their values, and the clients' sessions. Equal sequences of commands give equal stores and equal
/// replies.
#[derive(Debug, Default)]
pub struct Store {
    map: Map,
    sessions: Sessions,
}

impl Store {
    /// Applies one log entry and appends the reply. A stamped command takes effect once; its copies get the same reply.
    ///
    /// # Panics
    ///
    /// If the entry is not a command: the log is checked, so that would be a bug.
    #[inline]
    pub fn apply(&mut self, entry: &[u8], reply: &mut BytesMut) {
        let command = Command::decode(entry).expect("only encoded commands enter the log");
        self.perform(&command, reply);
    }

    /// Applies one command, as [`Store::apply`] does.
    pub fn perform(&mut self, command: &Command<'_>, reply: &mut BytesMut) {
        let Some(stamp) = command.stamp else {
            return self.map.apply(&command.op, reply);
        };
        if let Op::Open { generation } = command.op {
            return match self.sessions.open(stamp.session, generation) {
                Ok(generation) => encode::integer(reply, generation.cast_signed()),
                Err(gone) => encode::error(reply, gone),
            };
        }
        match self.sessions.admit(stamp) {
            Admission::New => {
                let start = reply.len();
                self.map.apply(&command.op, reply);
                self.sessions.executed(stamp, &reply[start..]);
            }
            Admission::Copy(answer) => reply.extend_from_slice(answer),
            Admission::Refused(reason) => encode::error(reply, reason),
        }
    }

    /// Whether a stamped command has taken effect, so that a further copy of it would change nothing at all.
    pub fn has_executed(&self, stamp: Stamp) -> bool {
        matches!(self.sessions.look_up(stamp), Admission::Copy(_))
            || self.sessions.is_acknowledged(stamp)
    }

    /// The reply to a further copy of a stamped command that has taken effect: that of the first one, or an error if that
    /// is not kept any more; nothing for a command that has not.
    pub fn reply_to_copy(&self, stamp: Stamp) -> Option<Bytes> {
        match self.sessions.look_up(stamp) {
            Admission::Copy(answer) => Some(Bytes::copy_from_slice(answer)),
            Admission::Refused(reason) if self.sessions.is_acknowledged(stamp) => {
                let mut reply = BytesMut::new();
                encode::error(&mut reply, reason);
                Some(reply.freeze())
            }
            Admission::New | Admission::Refused(_) => None,
        }
    }

    /// Answers a question.
    pub fn query(&self, query: &Query, reply: &mut BytesMut) {
        self.map.query(query, reply);
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.map.len() == 0
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The store as it is now, in pieces; it may change while they are written. Equal stores give equal bytes.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.sessions.clone(), self.map.clone())
    }
}
