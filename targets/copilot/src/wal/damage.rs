//! What the log file says when it cannot be what the replica wrote.

use std::io;

use super::NAME;

/// The log file is not what the replica wrote: it must not go on, because what it promised may be missing.
///
/// A write that a crash has torn is not damage: nothing was promised about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log is damaged: {what}; this replica must not start, because it may have forgotten what it promised: restore \
     `{NAME}` from a copy made after it stopped; the others go on without it as long as they are a majority"
)]
pub struct Damage {
    /// What is wrong, and where.
    pub what: What,
}

/// A kind of damage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// What was durable has changed.
    #[error("`{NAME}` is damaged at byte {offset}: what follows shows that it was once whole")]
    Changed {
        /// Where the first broken frame begins.
        offset: u64,
    },
    /// The file does not begin as it should.
    #[error("`{NAME}` does not begin as a log of this version does")]
    Header,
    /// The end of the file is missing.
    #[error("`{NAME}` has {found} bytes, but had {length} or more")]
    Cut {
        /// How many bytes it has.
        found: u64,
        /// How many it must have.
        length: u64,
    },
    /// A frame is whole, but not to be understood.
    #[error(
        "the frame at byte {offset} of `{NAME}` is whole, but holds what this version cannot read"
    )]
    Unreadable {
        /// Where it begins.
        offset: u64,
    },
}

impl From<What> for io::Error {
    fn from(what: What) -> Self {
        Self::new(io::ErrorKind::InvalidData, Damage { what })
    }
}
