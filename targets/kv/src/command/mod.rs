//! What a log entry says.
//!
//! ```text
//! entry   = kind u8, [stamp], operation       the top bit of kind says whether there is a stamp
//! stamp   = session u64, seq varint, (seq - below) varint
//! string  = length u32, bytes
//! ```
//!
//! All numbers are little endian. The last string of an operation that has a fixed number of them goes to the end of the
//! entry and has no length.

mod keys;
mod op;
mod stamp;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use bytes::{BufMut, BytesMut};

pub use keys::{KeyIter, Keys};
pub use op::{Answer, Condition, Op, Query};
pub use stamp::{SessionId, Stamp};

const STAMPED: u8 = 0x80;

/// An operation, lent from the bytes of a request or of a log entry, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// If it is there, the operation takes effect at most once, however often it is ordered.
    pub stamp: Option<Stamp>,
    /// What is to be done.
    pub op: Op<'a>,
}

impl<'a> Command<'a> {
    /// An operation that takes effect whenever it is ordered.
    pub const fn plain(op: Op<'a>) -> Self {
        Self { stamp: None, op }
    }

    /// Appends the command to a log entry.
    #[inline]
    pub fn encode(&self, entry: &mut BytesMut) {
        let kind = self.op.kind();
        match &self.stamp {
            None => entry.put_u8(kind),
            Some(stamp) => {
                entry.put_u8(kind | STAMPED);
                stamp.encode(entry);
            }
        }
        self.op.encode(entry);
    }

    /// Reads a log entry; `None` if it is not a command.
    #[inline]
    pub fn decode(entry: &'a [u8]) -> Option<Self> {
        let (kind, mut rest) = entry.split_first()?;
        let stamp = if kind & STAMPED == 0 {
            None
        } else {
            let (stamp, after) = Stamp::take(rest)?;
            rest = after;
            Some(stamp)
        };
        let op = Op::decode(kind & !STAMPED, rest)?;
        Some(Self { stamp, op })
    }
}
