use std::net::SocketAddr;
use std::time::Duration;

use history::Operation;
use vocab::time::{Monotonic, TrialTime};

use crate::clock;
use crate::job::DriverKind;
use crate::redis;

/// The values are read in the name of a client that no load has.
const CLIENT: u32 = u32::MAX;

/// Between attempts, so that a cluster that is down is not flooded.
const PAUSE: Duration = Duration::from_millis(20);

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub struct ReadBack<'s> {
    /// The protocol.
    pub driver: DriverKind,
    /// Where the members of the target take requests of clients.
    pub servers: &'s [SocketAddr],
    /// The keys from 0 on, as many as the load sampled.
    pub sample_keys: u32,
    /// Zero of the operations' time: when the load started.
    pub start: Monotonic,
    /// How long all of it may take.
    pub patience: Duration,
}

/// A key could not be read in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {key} could not be read within the {patience:?} given for all; last: {failure}")]
pub struct ReadBackError {
    /// The number of the key.
    pub key: u64,
    /// The time there was.
    pub patience: Duration,
    /// What went wrong with the last attempt.
    pub failure: String,
}

/// Reads the sampled keys once each, after a load or a restart of the servers: together with the operations of the
/// load these reads tell whether acknowledged writes were lost. Blocks.
///
/// Every key is asked for until a member answers; [`history::check`] judges.
///
/// # Errors
/// When a key could not be read in time.
///
/// # Panics
/// Without servers.
pub fn read_back(wanted: ReadBack<'_>) -> Result<Vec<Operation>, ReadBackError> {
    match wanted.driver {
        DriverKind::Resp | DriverKind::Pilots => {
            read_all(wanted, redis::Reader::new(wanted.servers))
        }
        #[cfg(feature = "etcd")]
        DriverKind::Etcd => match crate::etcd::Reader::new(wanted.servers) {
            Ok(reader) => read_all(wanted, reader),
            Err(error) => Err(wanted.failed(0, error.to_string())),
        },
        #[cfg(not(feature = "etcd"))]
        DriverKind::Etcd => Err(wanted.failed(0, "built without the etcd driver".to_owned())),
    }
}

/// Reads one value after the other over whatever connection works.
pub(crate) trait ReadOne {
    /// The write that the value of `key` comes from, if there is a value; takes `limit` at most, and after a failure
    /// goes on to another member.
    fn read_one(&mut self, key: &[u8], limit: Duration) -> Result<Option<u64>, String>;
}

fn read_all(
    wanted: ReadBack<'_>,
    mut reader: impl ReadOne,
) -> Result<Vec<Operation>, ReadBackError> {
    let give_up = clock::now() + wanted.patience;
    let mut operations = Vec::new();
    for key in 0..u64::from(wanted.sample_keys) {
        operations.push(read_key(&wanted, key, &mut reader, give_up)?);
    }
    Ok(operations)
}

fn read_key(
    wanted: &ReadBack<'_>,
    key: u64,
    reader: &mut impl ReadOne,
    give_up: Monotonic,
) -> Result<Operation, ReadBackError> {
    let name = format!("key:{key:012}");
    let since_start = |moment: Monotonic| {
        TrialTime::from_nanos(moment.nanos() as i64 - wanted.start.nanos() as i64)
    };
    let mut failure = "no attempt was made".to_owned();
    loop {
        let invoked = clock::now();
        let left = give_up.since(invoked);
        if left.is_zero() {
            return Err(wanted.failed(key, failure));
        }
        match reader.read_one(name.as_bytes(), left) {
            Ok(value) => {
                let moments = (since_start(invoked), since_start(clock::now()));
                return Ok(Operation::read(CLIENT, key, value).took(moments.0, moments.1));
            }
            Err(error) => failure = error,
        }
        std::thread::sleep(PAUSE);
    }
}

impl ReadBack<'_> {
    fn failed(&self, key: u64, failure: String) -> ReadBackError {
        ReadBackError {
            key,
            patience: self.patience,
            failure,
        }
    }
}
