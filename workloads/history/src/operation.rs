use std::fmt;

use serde::{Deserialize, Serialize};
use vocab::time::TrialTime;

/// What one client asked about one key, and what it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Who asked; a client has one operation in flight at a time.
    pub client: u32,
    /// The key, by its number.
    pub key: u64,
    /// What was asked.
    pub input: Input,
    /// What was answered.
    pub output: Output,
    /// When the client asked.
    pub invoked: TrialTime,
    /// When it had the answer, or gave up waiting for one.
    pub returned: TrialTime,
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// Write this value. A check can tell most when no two writes of a key write the same.
    Write(u64),
    /// Read the value.
    Read,
}

/// What a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// The write was acknowledged.
    Ok,
    /// The read found this value, or that there is none.
    Value(Option<u64>),
    /// No answer: a write may have taken effect, may take effect later, or never.
    Unknown,
}

impl Operation {
    /// An acknowledged write of `value`.
    pub fn write(client: u32, key: u64, value: u64) -> Operation {
        Operation::new(client, key, Input::Write(value), Output::Ok)
    }

    /// A write of `value` with unknown outcome.
    pub fn unknown_write(client: u32, key: u64, value: u64) -> Operation {
        Operation::new(client, key, Input::Write(value), Output::Unknown)
    }

    /// A read that found `value`.
    pub fn read(client: u32, key: u64, value: Option<u64>) -> Operation {
        Operation::new(client, key, Input::Read, Output::Value(value))
    }

    /// The same operation between these moments.
    #[must_use]
    pub fn took(self, invoked: TrialTime, returned: TrialTime) -> Operation {
        Operation {
            invoked,
            returned,
            ..self
        }
    }

    fn new(client: u32, key: u64, input: Input, output: Output) -> Operation {
        Operation {
            client,
            key,
            input,
            output,
            invoked: TrialTime::default(),
            returned: TrialTime::default(),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{} s .. {} s] client {}: ",
            seconds(self.invoked),
            seconds(self.returned),
            self.client
        )?;
        match self.input {
            Input::Write(value) => write!(f, "write {value} to key {}", self.key)?,
            Input::Read => write!(f, "read key {}", self.key)?,
        }
        match self.output {
            Output::Ok => f.write_str(": ok"),
            Output::Value(Some(value)) => write!(f, ": {value}"),
            Output::Value(None) => f.write_str(": nothing"),
            Output::Unknown => f.write_str(": outcome unknown"),
        }
    }
}

fn seconds(moment: TrialTime) -> String {
    format!("{:.6}", moment.seconds())
}
