//! How a leader is elected, and asks another to be.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::types::{LogIndex, Term};

/// Whether an election is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ballot {
    /// Would you vote for me? Nobody's state changes.
    Pre,
    /// Vote for me.
    Real,
    /// Vote for me, even if you hear the leader: it asked me to take over.
    Transfer,
}

impl Ballot {
    const fn code(self) -> u8 {
        match self {
            Self::Pre => 0,
            Self::Real => 1,
            Self::Transfer => 2,
        }
    }

    const fn decode(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Pre),
            1 => Some(Self::Real),
            2 => Some(Self::Transfer),
            _ => None,
        }
    }
}

/// A leader asks a follower to take over: to stand for election at once. There is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutNow {
    /// The leader's term.
    pub term: Term,
    /// How many leaders in a row have handed over because they were slow; see [`mitigation`](crate::Config::mitigation).
    pub handovers: u32,
}

impl TimeoutNow {
    /// The message's bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(12);
        bytes.put_u64_le(self.term.0);
        bytes.put_u32_le(self.handovers);
        bytes.freeze()
    }

    /// Reads a message; `None` if it is not one.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        Some(Self {
            term: Term(bytes.try_get_u64_le().ok()?),
            handovers: bytes.try_get_u32_le().ok()?,
        })
    }
}

/// A candidate asks for a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// The term to be elected for.
    pub term: Term,
    /// Whether it is real.
    pub ballot: Ballot,
    /// The end of the candidate's log.
    pub last_index: LogIndex,
    /// The term of its last entry.
    pub last_term: Term,
}

/// The answer to a [`VoteRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteReply {
    /// The voter's term.
    pub term: Term,
    /// Whether the candidate has its vote.
    pub granted: bool,
}

impl VoteRequest {
    /// The message's bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(25);
        bytes.put_u64_le(self.term.0);
        bytes.put_u8(self.ballot.code());
        bytes.put_u64_le(self.last_index.0);
        bytes.put_u64_le(self.last_term.0);
        bytes.freeze()
    }

    /// Reads a message; `None` if it is not one.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        Some(Self {
            term: Term(bytes.try_get_u64_le().ok()?),
            ballot: Ballot::decode(bytes.try_get_u8().ok()?)?,
            last_index: LogIndex(bytes.try_get_u64_le().ok()?),
            last_term: Term(bytes.try_get_u64_le().ok()?),
        })
    }
}

impl VoteReply {
    /// The message's bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(9);
        bytes.put_u64_le(self.term.0);
        bytes.put_u8(u8::from(self.granted));
        bytes.freeze()
    }

    /// Reads a message; `None` if it is not one.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        Some(Self {
            term: Term(bytes.try_get_u64_le().ok()?),
            granted: bytes.try_get_u8().ok()? == 1,
        })
    }
}
