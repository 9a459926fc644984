use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount of CPU: `0.5cpu` is half of one CPU's time.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^\s*[0-9.]+\s*cpu\s*$", "examples" = ["0.5cpu"]))]
pub struct Cpus(f64);

/// An amount of CPU could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount of CPU from 0.01cpu to 4096cpu, such as 0.5cpu")]
pub struct CpusError(String);

impl Cpus {
    /// An amount from 0.01 to 4096 CPUs.
    pub fn new(cpus: f64) -> Option<Cpus> {
        (0.01..=4096.0).contains(&cpus).then_some(Cpus(cpus))
    }

    /// In CPUs.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Cpus {
    type Err = CpusError;

    fn from_str(text: &str) -> Result<Cpus, CpusError> {
        text.trim()
            .strip_suffix("cpu")
            .and_then(|number| number.trim().parse().ok())
            .and_then(Cpus::new)
            .ok_or_else(|| CpusError(text.to_owned()))
    }
}

impl TryFrom<String> for Cpus {
    type Error = CpusError;
    fn try_from(text: String) -> Result<Cpus, CpusError> {
        text.parse()
    }
}

impl From<Cpus> for String {
    fn from(cpus: Cpus) -> String {
        cpus.to_string()
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.3}", self.0);
        write!(f, "{}cpu", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_round_trip() {
        for text in ["0.5cpu", "1cpu", "0.333cpu", "10cpu"] {
            assert_eq!(text.parse::<Cpus>().unwrap().to_string(), text);
        }
        for text in ["0.5", "0cpu", "-1cpu", "NaNcpu", "cpu", "", "1e9cpu"] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
    }
}
