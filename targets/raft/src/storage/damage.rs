//! What the files of a replica say when they cannot be what it wrote.

use std::io;

use crate::types::LogIndex;

/// The log is not what the replica wrote: it must not go on, because what it promised may be missing.
///
/// A write that a crash has torn is not damage: nothing was promised about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log is damaged: {what}; this replica must not start, because it may have forgotten what it promised: remove it \
     from its group, empty its directory and add it again as a new member, or restore the files from a copy made after \
     it stopped"
)]
pub struct Damage {
    /// What is wrong, and where.
    pub what: What,
}

/// A kind of damage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// What was durable has changed.
    #[error("file `{file}` is damaged at byte {offset}: what follows shows that it was once whole")]
    Changed {
        /// The file.
        file: String,
        /// Where the first broken frame begins.
        offset: u64,
    },
    /// A file does not begin as it should.
    #[error("file `{file}` does not begin as a segment of the log of this version does")]
    Header {
        /// The file.
        file: String,
    },
    /// The end of a file is missing.
    #[error("file `{file}` has {found} bytes, but was made with {length}")]
    Cut {
        /// The file.
        file: String,
        /// How many bytes it has.
        found: u64,
        /// How many it must have.
        length: u64,
    },
    /// A file is missing.
    #[error("file `{file}` is missing")]
    Missing {
        /// The file.
        file: String,
    },
    /// Entries between the snapshot and the log are missing.
    #[error("the log begins at {first} but the snapshot ends at {snapshot}")]
    Gap {
        /// The last entry of the snapshot; zero if there is none.
        snapshot: LogIndex,
        /// The first entry of the log.
        first: LogIndex,
    },
}

impl From<What> for io::Error {
    fn from(what: What) -> Self {
        Self::new(io::ErrorKind::InvalidData, Damage { what })
    }
}
