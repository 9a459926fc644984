//! The `workload` part of the experiment file.

mod keys;
mod mode;

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::{Bytes, Share, Span};

pub use keys::Keys;
pub use mode::{Arrivals, Mode};

/// The longest value: more would measure the network's bandwidth, and some targets refuse it.
const MAX_VALUE: Bytes = Bytes(1 << 20);

/// A recorded value starts with 16 digits that tell which write it comes from.
const MIN_RECORDED_VALUE: Bytes = Bytes(16);

/// Latencies are recorded up to a minute.
const MAX_TIMEOUT: Span = Span::seconds(60);

/// The load on the target: a key-value store is written and read by a number of clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// Clients, each with at most one request in flight. In the open loop this bounds the requests in flight.
    pub clients: NonZeroU32,
    /// Connections the clients share; the clients of one connection pipeline their requests on it.
    pub connections: NonZeroU32,
    /// Share of the requests that write; the others read.
    pub write: Share,
    /// Size of a value, at most 1MiB.
    pub value: Bytes,
    /// Which keys are written and read.
    pub keys: Keys,
    /// What makes a client send its next request.
    pub mode: Mode,
    /// How long a request may take, at most 60s; then it counts as an error and its outcome as unknown.
    pub timeout: Span,
    /// Writes take effect once: they are sent again, in a session, until they are answered or `timeout` is over. Only the
    /// built-in systems have sessions; Copilot's clients always use them.
    pub exactly_once: bool,
    /// On that many of the keys every operation is recorded, and their values are read once more at the end, to be
    /// checked for linearizability. Needs values of at least 16B.
    pub sample_keys: u32,
}

impl Default for Workload {
    fn default() -> Self {
        Workload {
            clients: const { NonZeroU32::new(64).expect("64 is not zero") },
            connections: const { NonZeroU32::new(16).expect("16 is not zero") },
            write: Share::ALL,
            value: Bytes(16),
            keys: Keys::default(),
            mode: Mode::default(),
            timeout: Span::seconds(5),
            exactly_once: false,
            sample_keys: 0,
        }
    }
}

impl Validate for Workload {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.connections > self.clients {
            problems.add_with_help(
                at.key("connections"),
                format!(
                    "{} connections are more than the {} clients that share them",
                    self.connections, self.clients
                ),
                "every connection needs at least one client: raise `clients` or lower `connections`",
            );
        }
        if self.clients.get() > 100_000 {
            problems.add(
                at.key("clients"),
                format!("{} clients are more than 100000", self.clients),
            );
        }
        if self.connections.get() > 10_000 {
            problems.add(
                at.key("connections"),
                format!("{} connections are more than 10000", self.connections),
            );
        }
        if self.value == Bytes(0) || self.value > MAX_VALUE {
            problems.add(
                at.key("value"),
                format!("a value of {} is not from 1B to {MAX_VALUE}", self.value),
            );
        }
        if self.timeout == Span::ZERO || self.timeout > MAX_TIMEOUT {
            problems.add(
                at.key("timeout"),
                format!(
                    "a timeout of {} is not above 0s and at most {MAX_TIMEOUT}",
                    self.timeout
                ),
            );
        }
        self.validate_sample(at, problems);
        self.keys.validate(&at.key("keys"), problems);
        self.mode.validate(&at.key("mode"), problems);
    }
}

impl Workload {
    fn validate_sample(&self, at: &FieldPath, problems: &mut Problems) {
        if self.sample_keys == 0 {
            return;
        }
        if u64::from(self.sample_keys) > self.keys.count() {
            problems.add(
                at.key("sample_keys"),
                format!(
                    "{} keys cannot be sampled from {}",
                    self.sample_keys,
                    self.keys.count()
                ),
            );
        }
        if self.value < MIN_RECORDED_VALUE {
            problems.add_with_help(
                at.key("value"),
                format!("values of {} cannot be told apart", self.value),
                format!(
                    "sampled keys need values of at least {MIN_RECORDED_VALUE}; or leave out `sample_keys`"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(workload: &Workload) -> Vec<String> {
        let mut problems = Problems::default();
        workload.validate(&FieldPath::root().key("workload"), &mut problems);
        problems
            .into_vec()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn read(text: &str) -> Result<Workload, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn the_default_is_valid_and_round_trips() {
        let workload = read("{}").unwrap();
        assert_eq!(workload, Workload::default());
        assert_eq!(problems(&workload), [""; 0]);
        let text = serde_json::to_string(&workload).unwrap();
        assert_eq!(read(&text).unwrap(), workload);
    }

    #[test]
    fn the_open_loop_is_read() {
        let workload =
            read(r#"{"mode": {"open": {"rate": "5000/s", "arrivals": "poisson"}}}"#).unwrap();
        let Mode::Open { rate, arrivals } = workload.mode else {
            panic!("{workload:?}");
        };
        assert_eq!(
            (rate.to_string().as_str(), arrivals),
            ("5000/s", Arrivals::Poisson)
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            (
                r#"{"clients": 4}"#,
                "workload.connections: 16 connections are more than the 4 clients",
            ),
            (
                r#"{"value": "2MB"}"#,
                "workload.value: a value of 2MB is not from 1B to 1MiB",
            ),
            (
                r#"{"timeout": "61s"}"#,
                "workload.timeout: a timeout of 61s is not above 0s",
            ),
            (
                r#"{"sample_keys": 7, "keys": {"uniform": {"count": 5}}}"#,
                "7 keys cannot be sampled from 5",
            ),
            (
                r#"{"sample_keys": 7, "value": "8B"}"#,
                "values of 8B cannot be told apart",
            ),
            (
                r#"{"keys": {"uniform": {"count": 2000000000000}}}"#,
                "workload.keys.uniform.count: ",
            ),
            (
                r#"{"mode": {"open": {"rate": "9000000/s"}}}"#,
                "workload.mode.open.rate: ",
            ),
        ] {
            let found = problems(&read(text).unwrap());
            assert!(
                found.iter().any(|problem| problem.contains(expected)),
                "{text}: {found:?}"
            );
        }
        for text in [
            r#"{"clients": 0}"#,
            r#"{"klients": 1}"#,
            r#"{"mode": {"open": {}}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
