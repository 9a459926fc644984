use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Rate;

/// What makes a client send its next request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Mode {
    /// The answer to the one before: the number of clients sets the load, a slow target gets less of it.
    Closed {},
    /// The clock: the rate sets the load, and latency counts from the moment a request was due, so that waiting for
    /// a stalled target is not left out. A request due while all clients are busy is sent late; when it has not
    /// been sent within `timeout`, it is dropped.
    Open {
        /// Requests in a second, over all clients.
        rate: Rate,
        /// How they are spread over the second.
        #[serde(default)]
        arrivals: Arrivals,
    },
}

/// How requests of the open loop are spread over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At equal distances.
    #[default]
    Constant,
    /// As from many people who do not know of each other: at exponentially distributed distances.
    Poisson,
}

impl Default for Mode {
    fn default() -> Self {
        Mode::Closed {}
    }
}

impl Validate for Mode {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if let Mode::Open { rate, .. } = self
            && rate.per_second() > 5_000_000.0
        {
            problems.add(
                at.key("open").key("rate"),
                format!("{rate} is more than one worker can send (5000000/s)"),
            );
        }
    }
}
