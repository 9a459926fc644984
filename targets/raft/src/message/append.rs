//! How the log is extended.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::types::{LogIndex, Term};

/// A leader extends the log, or says that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendRequest {
    /// The leader's term.
    pub term: Term,
    /// The position before the entries that follow.
    pub previous: LogIndex,
    /// The term of the entry there.
    pub previous_term: Term,
    /// Up to where the leader has committed.
    pub commit: LogIndex,
    /// The leader's latest round; an answer shows that it still led when that round began.
    pub round: u64,
}

/// The answer to an [`AppendRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendReply {
    /// The follower's term.
    pub term: Term,
    /// The round of the request.
    pub round: u64,
    /// What the follower holds.
    pub held: Held,
    /// Whether its disk is full.
    pub full: bool,
}

/// What a follower holds of its leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Everything up to here, durably.
    UpTo(LogIndex),
    /// Not what precedes the entries sent; the leader should send from here.
    LacksFrom(LogIndex),
}

impl AppendRequest {
    /// The message's bytes; batches follow.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(40);
        for number in [
            self.term.0,
            self.previous.0,
            self.previous_term.0,
            self.commit.0,
            self.round,
        ] {
            bytes.put_u64_le(number);
        }
        bytes.freeze()
    }

    /// Takes the message off the bytes and leaves the batches; `None` if it is not one.
    pub fn take(bytes: &mut Bytes) -> Option<Self> {
        Some(Self {
            term: Term(bytes.try_get_u64_le().ok()?),
            previous: LogIndex(bytes.try_get_u64_le().ok()?),
            previous_term: Term(bytes.try_get_u64_le().ok()?),
            commit: LogIndex(bytes.try_get_u64_le().ok()?),
            round: bytes.try_get_u64_le().ok()?,
        })
    }
}

impl AppendReply {
    /// The message's bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(26);
        bytes.put_u64_le(self.term.0);
        bytes.put_u64_le(self.round);
        let (kind, index) = match self.held {
            Held::UpTo(index) => (1, index),
            Held::LacksFrom(index) => (0, index),
        };
        bytes.put_u8(kind);
        bytes.put_u64_le(index.0);
        bytes.put_u8(self.full.into());
        bytes.freeze()
    }

    /// Reads a message; `None` if it is not one.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let (term, round) = (
            Term(bytes.try_get_u64_le().ok()?),
            bytes.try_get_u64_le().ok()?,
        );
        let kind = bytes.try_get_u8().ok()?;
        let index = LogIndex(bytes.try_get_u64_le().ok()?);
        let held = if kind == 1 {
            Held::UpTo(index)
        } else {
            Held::LacksFrom(index)
        };
        let full = bytes.try_get_u8().ok()? == 1;
        Some(Self {
            term,
            round,
            held,
            full,
        })
    }
}
