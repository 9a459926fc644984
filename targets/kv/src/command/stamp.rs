use std::fmt;

use bytes::{BufMut, BytesMut};

use super::wire::{put_varint, take_u64, take_varint};

/// Names a session: a number that its client has drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Tells one command of a client from all its others, so that copies of it are known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Whose command it is.
    pub session: SessionId,
    /// Which of its commands.
    pub seq: u64,
    /// The client has the answers to all commands before this one and will not ask for them again; at most `seq`.
    pub below: u64,
}

impl Stamp {
    /// The stamp of a command that opens a session. It never counts as executed, so each copy is ordered and answered: no
    /// client comes to that number.
    pub const fn opening(session: SessionId) -> Self {
        Self {
            session,
            seq: u64::MAX >> 1,
            below: 0,
        }
    }

    pub(super) fn encode(&self, entry: &mut BytesMut) {
        entry.put_u64_le(self.session.0);
        put_varint(entry, self.seq);
        put_varint(entry, self.seq - self.below.min(self.seq));
    }

    pub(super) fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (session, rest) = take_u64(bytes)?;
        let (seq, rest) = take_varint(rest)?;
        let (ahead, rest) = take_varint(rest)?;
        let below = seq.checked_sub(ahead)?;
        let session = SessionId(session);
        Some((
            Self {
                session,
                seq,
                below,
            },
            rest,
        ))
    }
}
