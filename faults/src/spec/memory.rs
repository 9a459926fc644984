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
    /// Where memory above the limit goes.
    #[serde(default)]
    pub swap: Swap,
}

/// Where the memory of a server goes that has more than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Swap {
    /// To the machine's swap space; where it has none and the kernel would kill, to some of depbench's own while the fault is in.
    #[default]
    Auto,
    /// Nowhere: a server that grows past the limit is killed by the kernel (cgroup v1), or stands nearly still (v2).
    None,
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

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.swap {
            Swap::Auto => write!(f, "{}", self.bytes),
            Swap::None => write!(f, "{} without swap", self.bytes),
        }
    }
}

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
