//! Who the members are, how patient they are, what a reply promises.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use kv::{Durability, Member};

pub use crate::storage::SEGMENT_BYTES;
use crate::types::ReplicaId;

/// One replica and its group.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which member this replica is.
    pub id: ReplicaId,
    /// All members of a new group, this one included. A replica that has been in a group before knows better from its
    /// disk.
    pub members: BTreeMap<ReplicaId, Member>,
    /// Where to listen for peers; the address in `members` unless it differs.
    pub peer_listen: Option<String>,
    /// Where to listen for clients; the address in `members` unless it differs.
    pub client_listen: Option<String>,
    /// Where the log file lies.
    pub data_dir: PathBuf,
    /// What an acknowledged write has survived.
    pub durability: Durability,
    /// How patient the replica is.
    pub timing: Timing,
    /// How many bytes of the log are kept in memory as well as in the file; older entries are read back when a peer
    /// lacks them. Without a file everything is kept.
    pub log_memory: usize,
    /// A snapshot is taken whenever the log has grown by so many bytes, or by the size of the snapshot before if that is
    /// larger; the log is kept back to the snapshot before.
    pub snapshot_bytes: u64,
    /// The size of a file of the log; at least two of them take space on the disk.
    pub segment_bytes: u64,
    /// How many bytes of entries one message to a peer carries, if they do not come in one larger batch.
    pub message_bytes: usize,
    /// How a read is known to be current.
    pub reads: Reads,
    /// Whether a leader that finds itself slow by its detectors hands leadership to a healthy follower.
    pub mitigation: bool,
    /// Whether this replica joins a group that runs already: it belongs to no group until a leader says so.
    pub joins: bool,
    /// The mistake it makes on purpose.
    #[cfg(feature = "mutations")]
    pub mutation: Option<crate::Mutation>,
}

/// A reasonable [`Config::log_memory`]: some seconds of full load.
pub const LOG_MEMORY: usize = 32 << 20;
/// A reasonable [`Config::snapshot_bytes`]: log and spare files together stay under 256 MiB.
pub const SNAPSHOT_BYTES: u64 = 64 << 20;
/// A reasonable [`Config::message_bytes`].
pub const MESSAGE_BYTES: usize = 1 << 20;

/// How a read is known to be current.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// A majority has answered the leader since the read came (read index).
    #[default]
    Quorum,
    /// Or a majority has answered it so lately that nobody else can have been elected: nine tenths of the shortest
    /// election timeout. That is right only if no two members' clocks differ by more than a tenth in their *rate*; what
    /// they show does not matter.
    Lease,
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quorum => "quorum",
            Self::Lease => "lease",
        })
    }
}

impl FromStr for Reads {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "quorum" => Ok(Self::Quorum),
            "lease" => Ok(Self::Lease),
            other => Err(ConfigError::Reads(other.to_owned())),
        }
    }
}

/// How patient a replica is.
///
/// The defaults are for machines where a process may be off the CPU for tens of milliseconds: a leader is missed only
/// after many heartbeats in a row. A slow follower deposes nobody in any case, because it would have to win a
/// pre-vote among replicas that hear the leader well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A follower that hears nothing for a random time in this range stands for election.
    pub election_timeout: Range<Duration>,
    /// How often an idle leader says that it lives.
    pub heartbeat: Duration,
}

impl Timing {
    /// Elections after `timeout` to twice that.
    pub fn new(timeout: Duration, heartbeat: Duration) -> Self {
        Self {
            election_timeout: timeout..timeout * 2,
            heartbeat,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_millis(50))
    }
}

/// What cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The replica is not in its own group.
    #[error("{0} is not among the members")]
    NotAMember(ReplicaId),
    /// Heartbeats and election timeouts do not go together.
    #[error(
        "an election timeout of {timeout:?} must be at least three heartbeats of {heartbeat:?} and a range"
    )]
    Timing {
        /// The shortest election timeout.
        timeout: Duration,
        /// The heartbeat.
        heartbeat: Duration,
    },
    /// Not a kind of reads.
    #[error("unknown kind of reads `{0}` (known: quorum, lease)")]
    Reads(String),
}

impl Config {
    /// A replica with the defaults: durable, patient, reads by quorum, and a slow leader stays.
    pub fn new(id: ReplicaId, members: BTreeMap<ReplicaId, Member>, data_dir: PathBuf) -> Self {
        Self {
            id,
            members,
            peer_listen: None,
            client_listen: None,
            data_dir,
            durability: Durability::default(),
            timing: Timing::default(),
            log_memory: LOG_MEMORY,
            snapshot_bytes: SNAPSHOT_BYTES,
            segment_bytes: SEGMENT_BYTES,
            message_bytes: MESSAGE_BYTES,
            reads: Reads::default(),
            mitigation: false,
            joins: false,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }

    /// Refuses what cannot work.
    ///
    /// # Errors
    ///
    /// Says what cannot work.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.members.contains_key(&self.id) {
            return Err(ConfigError::NotAMember(self.id));
        }
        let Timing {
            election_timeout,
            heartbeat,
        } = &self.timing;
        if election_timeout.is_empty()
            || heartbeat.is_zero()
            || election_timeout.start < *heartbeat * 3
        {
            return Err(ConfigError::Timing {
                timeout: election_timeout.start,
                heartbeat: *heartbeat,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let member = Member {
            peer: "a:1".into(),
            client: "a:2".into(),
        };
        let members = BTreeMap::from([(ReplicaId(1), member)]);
        Config::new(ReplicaId(1), members, PathBuf::new())
    }

    #[test]
    fn the_defaults_are_valid_and_nonsense_is_not() {
        assert_eq!(config().validate(), Ok(()));
        assert_eq!(
            Config {
                id: ReplicaId(2),
                ..config()
            }
            .validate(),
            Err(ConfigError::NotAMember(ReplicaId(2)))
        );
        let hasty = Timing::new(Duration::from_millis(100), Duration::from_millis(50));
        assert!(
            Config {
                timing: hasty,
                ..config()
            }
            .validate()
            .is_err()
        );
        assert_eq!("lease".parse(), Ok(Reads::Lease));
        assert!("stale".parse::<Reads>().is_err());
    }
}
