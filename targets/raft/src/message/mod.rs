//! What replicas say to each other. Every message begins with its sender's term; batches of entries follow an
//! [`AppendRequest`] in the form in which they are stored.

mod append;
mod snapshot;
mod vote;

pub use append::{AppendReply, AppendRequest, Held};
pub use snapshot::{Expects, Part, SnapshotReply, SnapshotRequest};
pub use vote::{Ballot, TimeoutNow, VoteReply, VoteRequest};

/// The number of the call that carries a [`VoteRequest`].
pub const VOTE: u8 = 1;
/// The number of the call that carries an [`AppendRequest`].
pub const APPEND: u8 = 2;
/// The number of the call that carries a [`TimeoutNow`].
pub const TIMEOUT_NOW: u8 = 3;
/// The number of the call that carries a [`SnapshotRequest`].
pub const SNAPSHOT: u8 = 4;

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};

    use super::*;
    use crate::storage::SnapshotMeta;
    use crate::types::{LogIndex, Term};

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
        for (held, full) in [
            (Held::UpTo(LogIndex(5)), true),
            (Held::LacksFrom(LogIndex(6)), false),
        ] {
            let reply = AppendReply {
                term: Term(7),
                round: 8,
                held,
                full,
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
