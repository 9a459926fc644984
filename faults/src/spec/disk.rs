use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::{ByteRate, Bytes, Rate, Span};

/// Parameters of `disk.throughput`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskThroughput {
    /// Bytes per second that the server may read, and as many that it may write, on the disk its data lies on.
    pub rate: ByteRate,
}

/// Parameters of `disk.iops`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskIops {
    /// Reads per second that the server may make, and as many writes, on the disk its data lies on.
    pub rate: Rate,
}

/// Parameters of `disk.contention`; all may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskContention {
    /// Threads that write, each into a file of its own.
    #[serde(default = "one_writer")]
    pub writers: NonZeroU32,
    /// How much each write is.
    #[serde(default = "one_mebibyte")]
    pub block: Bytes,
    /// How each write gets to the disk.
    #[serde(default)]
    pub sync: WriteSync,
}

/// How a write gets to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WriteSync {
    /// At once, past the page cache (`O_DIRECT`).
    #[default]
    Direct,
    /// Into the page cache, then `fdatasync` after each write.
    Fsync,
    /// Into the page cache; the kernel writes it back when it sees fit.
    None,
}

/// Parameters of `disk.latency`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskLatency {
    /// How much later each operation is passed on to the disk.
    pub delay: Span,
    /// Which operations.
    #[serde(default)]
    pub on: DelayedOperations,
    /// By which means.
    #[serde(default)]
    pub by: DelayedBy,
}

/// What delays operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DelayedBy {
    /// The kernel's device where a node has it and its clock is fine enough, else the layer.
    #[default]
    Auto,
    /// The kernel's device below the file system; needs a disk of the node's own.
    DmDelay,
    /// A layer over the servers' files.
    Fuse,
}

/// Which operations on files are delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DelayedOperations {
    /// Syncs, and writes to files that were opened to sync each.
    #[default]
    Fsync,
    /// These, and reads, writes and changes of directories as far as they are not answered from the page cache.
    All,
}

impl Default for DiskContention {
    fn default() -> DiskContention {
        DiskContention {
            writers: one_writer(),
            block: one_mebibyte(),
            sync: WriteSync::default(),
        }
    }
}

fn one_writer() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn one_mebibyte() -> Bytes {
    Bytes(1 << 20)
}

/// Below this rate a single block of a file system takes more than a second.
const SLOWEST_RATE: Bytes = Bytes(4 << 10);

/// Beyond this rate no disk needs a limit.
const FASTEST_RATE: Bytes = Bytes(100_000_000_000);

/// Beyond this rate no disk needs a limit.
const MOST_OPERATIONS: f64 = 10_000_000.0;

/// More writers than this only wait for each other.
const MOST_WRITERS: u32 = 64;

/// What `O_DIRECT` needs on every disk.
const BLOCK_GRAIN: Bytes = Bytes(4 << 10);

/// The longest delay: a server that waits longer for its disk looks dead.
const LONGEST_DELAY: Span = Span::seconds(10);

/// The largest block: each writer holds one in memory.
const LARGEST_BLOCK: Bytes = Bytes(16 << 20);

impl fmt::Display for WriteSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteSync::Direct => "direct",
            WriteSync::Fsync => "fsync",
            WriteSync::None => "buffered",
        })
    }
}

impl fmt::Display for DelayedOperations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DelayedOperations::Fsync => "each sync",
            DelayedOperations::All => "each operation",
        })
    }
}

impl fmt::Display for DelayedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DelayedBy::Auto => "auto",
            DelayedBy::DmDelay => "dm-delay",
            DelayedBy::Fuse => "fuse",
        })
    }
}

impl fmt::Display for DiskLatency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.delay, self.on)?;
        match self.by {
            DelayedBy::Auto => Ok(()),
            by => write!(f, " by {by}"),
        }
    }
}

impl fmt::Display for DiskContention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DiskContention {
            writers,
            block,
            sync,
        } = self;
        write!(f, "{writers} × {block} {sync}")
    }
}

impl Validate for DiskThroughput {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        let rate = self.rate.per_second();
        if rate < SLOWEST_RATE || rate > FASTEST_RATE {
            let message = format!(
                "{} is out of range, expected {SLOWEST_RATE}/s to {FASTEST_RATE}/s",
                self.rate
            );
            problems.add(at.key("rate"), message);
        }
    }
}

impl Validate for DiskIops {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        let rate = self.rate.per_second();
        if !(1.0..=MOST_OPERATIONS).contains(&rate) || rate.fract() != 0.0 {
            let message = format!(
                "{} cannot be kept by the kernel, expected a whole number from 1/s to {MOST_OPERATIONS}/s",
                self.rate
            );
            problems.add(at.key("rate"), message);
        }
    }
}

impl Validate for DiskContention {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.writers.get() > MOST_WRITERS {
            let message = format!(
                "{} is too many, expected at most {MOST_WRITERS}",
                self.writers
            );
            problems.add(at.key("writers"), message);
        }
        let whole = self.block.0 > 0 && self.block.0.is_multiple_of(BLOCK_GRAIN.0);
        if !whole || self.block > LARGEST_BLOCK {
            let message = format!(
                "{} cannot be written directly, expected a multiple of {BLOCK_GRAIN} up to {LARGEST_BLOCK}",
                self.block
            );
            problems.add(at.key("block"), message);
        }
    }
}

impl Validate for DiskLatency {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        if self.delay == Span::ZERO || self.delay > LONGEST_DELAY {
            let message = format!(
                "{} is out of range, expected above 0s and at most {LONGEST_DELAY}",
                self.delay
            );
            problems.add(at.key("delay"), message);
        }
    }
}
