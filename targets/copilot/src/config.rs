//! Who the members are, how patient they are, what a reply promises.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use kv::{Durability, Member};

use crate::core::ReplicaId;

/// One replica and its group.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which member this replica is.
    pub id: ReplicaId,
    /// All members, this one included. The first is pilot and the second copilot until a replica fails.
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
    /// How many executed entries of each log are kept for replicas that lag; one that lags further gets a snapshot.
    pub log_entries: u64,
    /// The log file is replaced by the state that it has led to when it has grown by more bytes than these, and than that
    /// state has.
    pub log_bytes: u64,
    /// The mistake it makes on purpose.
    #[cfg(feature = "mutations")]
    pub mutation: Option<crate::Mutation>,
}

/// A reasonable [`Config::log_entries`]: some seconds of full load.
pub const LOG_ENTRIES: u64 = 1 << 14;

/// A reasonable [`Config::log_bytes`]: read back in well under a second.
pub const LOG_BYTES: u64 = 64 << 20;

/// How patient a replica is. The defaults are the paper's, where it names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A pilot that has proposed waits this long for the other one's proposal before it proposes again (ping-pong
    /// batching).
    pub batching: Duration,
    /// How long a decided entry waits for undecided ones of the other log before its pilot takes those over.
    pub takeover: Duration,
    /// How long a pilot waits for a fast quorum when it has a regular one.
    pub fast_path: Duration,
    /// How often a replica says that it lives.
    pub heartbeat: Duration,
    /// A pilot that is silent for this long loses its role.
    pub suspicion: Duration,
    /// After this long without a result a command is sent to both pilots again.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            batching: Duration::from_millis(1),
            takeover: Duration::from_millis(10),
            fast_path: Duration::from_millis(2),
            heartbeat: Duration::from_millis(100),
            suspicion: Duration::from_secs(1),
            retry: Duration::from_millis(100),
        }
    }
}

/// What cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The replica is not in its own group.
    #[error("{0} is not among the members")]
    NotAMember(ReplicaId),
    /// The group has no two pilots and a majority without one of them.
    #[error("a group of {0} replicas; expected an odd number from 3 on, such as 3, 5 or 7")]
    Size(usize),
    /// Heartbeats and suspicion do not go together.
    #[error("a suspicion after {suspicion:?} must be at least three heartbeats of {heartbeat:?}")]
    Timing {
        /// When a silent pilot loses its role.
        suspicion: Duration,
        /// The heartbeat.
        heartbeat: Duration,
    },
    /// A time that must not be zero.
    #[error("the {0} time is zero; expected a time such as 10ms")]
    Zero(&'static str),
}

impl Config {
    /// A durable replica with the defaults.
    pub fn new(id: ReplicaId, members: BTreeMap<ReplicaId, Member>, data_dir: PathBuf) -> Self {
        Self {
            id,
            members,
            peer_listen: None,
            client_listen: None,
            data_dir,
            durability: Durability::default(),
            timing: Timing::default(),
            log_entries: LOG_ENTRIES,
            log_bytes: LOG_BYTES,
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
        let size = self.members.len();
        if !self.members.contains_key(&self.id) {
            return Err(ConfigError::NotAMember(self.id));
        }
        if size < 3 || size.is_multiple_of(2) {
            return Err(ConfigError::Size(size));
        }
        let timing = &self.timing;
        let times = [
            ("takeover", timing.takeover),
            ("heartbeat", timing.heartbeat),
            ("retry", timing.retry),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::Zero(name));
        }
        if timing.suspicion < timing.heartbeat * 3 {
            return Err(ConfigError::Timing {
                suspicion: timing.suspicion,
                heartbeat: timing.heartbeat,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(members: u32) -> Config {
        let member = |id| {
            let member = Member {
                peer: format!("a:{id}"),
                client: format!("b:{id}"),
            };
            (ReplicaId(id), member)
        };
        let members = (1..=members).map(member).collect();
        Config::new(ReplicaId(1), members, PathBuf::new())
    }

    #[test]
    fn the_defaults_are_valid_and_nonsense_is_not() {
        assert_eq!(config(3).validate(), Ok(()));
        assert_eq!(config(4).validate(), Err(ConfigError::Size(4)));
        assert_eq!(
            config(0).validate(),
            Err(ConfigError::NotAMember(ReplicaId(1)))
        );
        let mut hasty = config(5);
        hasty.timing.suspicion = Duration::from_millis(200);
        assert!(hasty.validate().is_err());
    }
}
