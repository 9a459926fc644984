//! What replicas say to each other. Every message begins with its sender's term; batches of entries follow an
//! [`AppendRequest`] in the form in which they are stored.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::storage::SnapshotMeta;
use crate::types::{LogIndex, Term};

/// The number of the call that carries a [`VoteRequest`].
pub const VOTE: u8 = 1;
/// The number of the call that carries an [`AppendRequest`].
pub const APPEND: u8 = 2;

/// The number of the call that carries a [`TimeoutNow`].
pub const TIMEOUT_NOW: u8 = 3;

/// The number of the call that carries a [`SnapshotRequest`].
pub const SNAPSHOT: u8 = 4;

/// A leader sends the next part of its snapshot; the bytes of a chunk follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// The leader's term.
    pub term: Term,
    /// Which snapshot.
    pub meta: SnapshotMeta,
    /// The place of the part.
    pub offset: u64,
    /// What it is.
    pub part: Part,
}

/// A part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A chunk.
    Chunk,
    /// There is no more.
    End,
}

/// The answer to a [`SnapshotRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotReply {
    /// The follower's term.
    pub term: Term,
    /// What it has to get.
    pub expects: Expects,
}

/// What a follower lacks of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// The part at this place; zero says the first one, wherever that is.
    From(u64),
    /// It holds, and has applied, everything that the snapshot covers.
    Nothing,
}

impl SnapshotRequest {
    /// The message's bytes; a chunk follows.
    pub fn encode(&self) -> Bytes {
        let configuration = &self.meta.configuration;
        let mut bytes = BytesMut::with_capacity(37 + configuration.len());
        for number in [
            self.term.0,
            self.meta.index.0,
            self.meta.term.0,
            self.offset,
        ] {
            bytes.put_u64_le(number);
        }
        bytes.put_u8(u8::from(self.part == Part::End));
        let length = u32::try_from(configuration.len()).expect("groups are small");
        bytes.put_u32_le(length);
        bytes.put_slice(configuration);
        bytes.freeze()
    }

    /// Takes the message off the bytes and leaves the chunk; `None` if it is not one.
    pub fn take(bytes: &mut Bytes) -> Option<Self> {
        let term = Term(bytes.try_get_u64_le().ok()?);
        let index = LogIndex(bytes.try_get_u64_le().ok()?);
        let last_term = Term(bytes.try_get_u64_le().ok()?);
        let offset = bytes.try_get_u64_le().ok()?;
        let part = if bytes.try_get_u8().ok()? == 0 {
            Part::Chunk
        } else {
            Part::End
        };
        let length = bytes.try_get_u32_le().ok()? as usize;
        let configuration = (length <= bytes.len()).then(|| bytes.split_to(length))?;
        Some(Self {
            term,
            meta: SnapshotMeta {
                index,
                term: last_term,
                configuration,
            },
            offset,
            part,
        })
    }
}

impl SnapshotReply {
    /// The message's bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(17);
        bytes.put_u64_le(self.term.0);
        let (kind, offset) = match self.expects {
            Expects::From(offset) => (0, offset),
            Expects::Nothing => (1, 0),
        };
        bytes.put_u8(kind);
        bytes.put_u64_le(offset);
        bytes.freeze()
    }

    /// Reads a message; `None` if it is not one.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        let term = Term(bytes.try_get_u64_le().ok()?);
        let kind = bytes.try_get_u8().ok()?;
        let offset = bytes.try_get_u64_le().ok()?;
        let expects = if kind == 0 {
            Expects::From(offset)
        } else {
            Expects::Nothing
        };
        Some(Self { term, expects })
    }
}

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
}

/// What a follower holds of its leader's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Everything up to here, durably.
    UpTo(LogIndex),
    /// Not what precedes the entries sent; the leader should send from here.
    LacksFrom(LogIndex),
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
        let mut bytes = BytesMut::with_capacity(25);
        bytes.put_u64_le(self.term.0);
        bytes.put_u64_le(self.round);
        let (kind, index) = match self.held {
            Held::UpTo(index) => (1, index),
            Held::LacksFrom(index) => (0, index),
        };
        bytes.put_u8(kind);
        bytes.put_u64_le(index.0);
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
        Some(Self { term, round, held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        for ballot in [Ballot::Pre, Ballot::Real, Ballot::Transfer] {
            let ask = VoteRequest {
                term: Term(1),
                ballot,
                last_index: LogIndex(2),
                last_term: Term(3),
            };
            assert_eq!(VoteRequest::decode(ask.encode()), Some(ask));
        }
        let part = SnapshotRequest {
            term: Term(1),
            meta: SnapshotMeta {
                index: LogIndex(2),
                term: Term(3),
                configuration: Bytes::from_static(b"group"),
            },
            offset: 4,
            part: Part::Chunk,
        };
        let mut bytes = Bytes::from([&part.encode()[..], b"chunk"].concat());
        assert_eq!(SnapshotRequest::take(&mut bytes), Some(part));
        assert_eq!(&bytes[..], b"chunk");
        for expects in [Expects::From(5), Expects::Nothing] {
            let reply = SnapshotReply {
                term: Term(6),
                expects,
            };
            assert_eq!(SnapshotReply::decode(reply.encode()), Some(reply));
        }
        let hand_over = TimeoutNow {
            term: Term(1),
            handovers: 2,
        };
        assert_eq!(TimeoutNow::decode(hand_over.encode()), Some(hand_over));
        let vote = VoteReply {
            term: Term(4),
            granted: true,
        };
        assert_eq!(VoteReply::decode(vote.encode()), Some(vote));
        for held in [Held::UpTo(LogIndex(5)), Held::LacksFrom(LogIndex(6))] {
            let reply = AppendReply {
                term: Term(7),
                round: 8,
                held,
            };
            assert_eq!(AppendReply::decode(reply.encode()), Some(reply));
        }
        let append = AppendRequest {
            term: Term(9),
            previous: LogIndex(10),
            previous_term: Term(11),
            commit: LogIndex(12),
            round: 13,
        };
        let mut bytes = BytesMut::from(&append.encode()[..]);
        bytes.put_slice(b"rest");
        let mut bytes = bytes.freeze();
        assert_eq!(AppendRequest::take(&mut bytes), Some(append));
        assert_eq!(&bytes[..], b"rest");
        assert_eq!(AppendRequest::take(&mut bytes), None);
    }
}
