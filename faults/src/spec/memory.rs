use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::{ByteRate, Bytes};

/// Parameters of `memory.limit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryLimit {
    /// Of the server with its page cache.
    pub bytes: Bytes,
}

/// Parameters of `memory.contention`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryContention {
    /// Memory that the competing program holds and keeps touching.
    pub bytes: Bytes,
    /// How much of it is written to in a second; without it, as much as one thread can.
    #[serde(default)]
    pub rate: Option<ByteRate>,
}

/// The smallest memory limit that makes sense: less does not hold a process's page tables and stacks.
const SMALLEST_LIMIT: Bytes = Bytes(1_000_000);

/// Less than this stays in the caches of a CPU.
const LEAST_TOUCHED: Bytes = Bytes(1 << 20);

impl fmt::Display for MemoryContention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes)?;
        self.rate
            .iter()
            .try_for_each(|rate| write!(f, " at {rate}"))
    }
}

impl Validate for MemoryLimit {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.bytes < SMALLEST_LIMIT {
            let message = format!(
                "no server fits into {}, expected at least {SMALLEST_LIMIT}",
                self.bytes
            );
            problems.add(at.key("bytes"), message);
        }
    }
}

impl Validate for MemoryContention {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.bytes < LEAST_TOUCHED {
            let message = format!(
                "{} competes with nobody, expected at least {LEAST_TOUCHED}",
                self.bytes
            );
            problems.add(at.key("bytes"), message);
        }
    }
}
