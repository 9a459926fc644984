use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::{Share, Span, Weight};

use super::disk::{DiskContention, DiskIops, DiskLatency, DiskThroughput};
use super::kill::ProcessKill;
use super::memory::{MemoryContention, MemoryLimit};
use super::net::{NetCorrupt, NetDelay, NetDuplicate, NetLoss, NetPartition, NetRate, NetReorder};

/// What makes a node slow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum FaultType {
    /// The server gets at most a share of its machine's CPU.
    #[serde(rename = "cpu.quota")]
    CpuQuota(CpuQuota),
    /// A busy program competes for the server's CPU.
    #[serde(rename = "cpu.contention")]
    CpuContention(CpuContention),
    /// The server's memory is limited.
    #[serde(rename = "memory.limit")]
    MemoryLimit(MemoryLimit),
    /// A program competes for the machine's memory.
    #[serde(rename = "memory.contention")]
    MemoryContention(MemoryContention),
    /// The server reads and writes its disk at a limited rate of bytes.
    #[serde(rename = "disk.throughput")]
    DiskThroughput(DiskThroughput),
    /// The server reads and writes its disk at a limited rate of operations.
    #[serde(rename = "disk.iops")]
    DiskIops(DiskIops),
    /// A program writes heavily to the server's disk.
    #[serde(rename = "disk.contention")]
    DiskContention(DiskContention),
    /// The server's operations on its disk take longer.
    #[serde(rename = "disk.latency")]
    DiskLatency(DiskLatency),
    /// Every packet the node sends leaves late.
    #[serde(rename = "net.delay")]
    NetDelay(NetDelay),
    /// Some of the packets the node sends get lost.
    #[serde(rename = "net.loss")]
    NetLoss(NetLoss),
    /// Some of the packets the node sends overtake others.
    #[serde(rename = "net.reorder")]
    NetReorder(NetReorder),
    /// Some of the packets the node sends arrive twice.
    #[serde(rename = "net.duplicate")]
    NetDuplicate(NetDuplicate),
    /// Some of the packets the node sends arrive damaged.
    #[serde(rename = "net.corrupt")]
    NetCorrupt(NetCorrupt),
    /// The node sends at most so much.
    #[serde(rename = "net.rate")]
    NetRate(NetRate),
    /// The node is cut off from others.
    #[serde(rename = "net.partition")]
    NetPartition(NetPartition),
    /// The server is stopped, not dead.
    #[serde(rename = "process.pause")]
    ProcessPause(ProcessPause),
    /// The server is ended, and later started again.
    #[serde(rename = "process.kill")]
    ProcessKill(ProcessKill),
}

/// Parameters of `cpu.quota`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuQuota {
    /// Of the node's machine size: its CPU budget, or all CPUs of its machine when it has none.
    pub share: Share,
}

/// Parameters of `cpu.contention`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuContention {
    /// Weight of the competing program against the server's.
    pub weight: Weight,
    /// Busy threads; without it one on each CPU that the server may use.
    #[serde(default)]
    pub threads: Option<NonZeroU32>,
}

/// Parameters of `process.pause`; without any the server is stopped throughout.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessPause {
    /// How long each pause lasts, when pauses repeat.
    #[serde(default, rename = "for")]
    pub length: Option<Span>,
    /// Time from the start of one pause to the start of the next.
    #[serde(default)]
    pub period: Option<Span>,
}

/// The shortest pause and the shortest run between two pauses.
const SHORTEST_PAUSE: Span = Span::millis(1);

impl FaultType {
    /// Whether it is about packets, of which some can be spared.
    pub fn is_of_the_network(&self) -> bool {
        self.name().starts_with("net.")
    }

    /// The name in the experiment file.
    pub fn name(&self) -> &'static str {
        match self {
            FaultType::CpuQuota(_) => "cpu.quota",
            FaultType::CpuContention(_) => "cpu.contention",
            FaultType::MemoryLimit(_) => "memory.limit",
            FaultType::MemoryContention(_) => "memory.contention",
            FaultType::DiskThroughput(_) => "disk.throughput",
            FaultType::DiskIops(_) => "disk.iops",
            FaultType::DiskContention(_) => "disk.contention",
            FaultType::DiskLatency(_) => "disk.latency",
            FaultType::NetDelay(_) => "net.delay",
            FaultType::NetLoss(_) => "net.loss",
            FaultType::NetReorder(_) => "net.reorder",
            FaultType::NetDuplicate(_) => "net.duplicate",
            FaultType::NetCorrupt(_) => "net.corrupt",
            FaultType::NetRate(_) => "net.rate",
            FaultType::NetPartition(_) => "net.partition",
            FaultType::ProcessPause(_) => "process.pause",
            FaultType::ProcessKill(_) => "process.kill",
        }
    }

    /// Whether a node can have only one of the two at a time: they set the same things.
    pub fn excludes(&self, other: &FaultType) -> bool {
        let is_share =
            |kind: &FaultType| matches!(kind, FaultType::CpuQuota(_) | FaultType::CpuContention(_));
        self.name() == other.name() || is_share(self) && is_share(other)
    }
}

impl fmt::Display for FaultType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            FaultType::CpuQuota(quota) => write!(f, " {}", quota.share),
            FaultType::CpuContention(contention) => match contention.threads {
                Some(threads) => write!(f, " {} on {threads} threads", contention.weight),
                None => write!(f, " {}", contention.weight),
            },
            FaultType::MemoryLimit(limit) => write!(f, " {limit}"),
            FaultType::MemoryContention(contention) => write!(f, " {contention}"),
            FaultType::DiskThroughput(limit) => write!(f, " {}", limit.rate),
            FaultType::DiskIops(limit) => write!(f, " {}", limit.rate),
            FaultType::DiskContention(contention) => write!(f, " {contention}"),
            FaultType::DiskLatency(latency) => write!(f, " {latency}"),
            FaultType::NetDelay(delay) => write!(f, " {delay}"),
            FaultType::NetLoss(loss) => write!(f, " {loss}"),
            FaultType::NetReorder(reorder) => write!(f, " {reorder}"),
            FaultType::NetDuplicate(duplicate) => write!(f, " {duplicate}"),
            FaultType::NetCorrupt(corrupt) => write!(f, " {corrupt}"),
            FaultType::NetRate(rate) => write!(f, " {rate}"),
            FaultType::NetPartition(partition) => write!(f, " {partition}"),
            FaultType::ProcessKill(kill) => write!(f, " {kill}"),
            FaultType::ProcessPause(pause) => match (pause.length, pause.period) {
                (Some(length), Some(period)) => write!(f, " {length} every {period}"),
                _ => Ok(()),
            },
        }
    }
}

impl Validate for FaultType {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        let at = at.key(self.name());
        match self {
            FaultType::CpuQuota(quota) => validate_quota(quota, &at, problems),
            FaultType::CpuContention(_) => {}
            FaultType::MemoryLimit(limit) => limit.validate(&at, problems),
            FaultType::MemoryContention(contention) => contention.validate(&at, problems),
            FaultType::DiskThroughput(limit) => limit.validate(&at, problems),
            FaultType::DiskIops(limit) => limit.validate(&at, problems),
            FaultType::DiskContention(contention) => contention.validate(&at, problems),
            FaultType::DiskLatency(latency) => latency.validate(&at, problems),
            FaultType::NetDelay(delay) => delay.validate(&at, problems),
            FaultType::NetLoss(loss) => loss.validate(&at, problems),
            FaultType::NetReorder(reorder) => reorder.validate(&at, problems),
            FaultType::NetDuplicate(duplicate) => duplicate.validate(&at, problems),
            FaultType::NetCorrupt(corrupt) => corrupt.validate(&at, problems),
            FaultType::NetRate(rate) => rate.validate(&at, problems),
            FaultType::NetPartition(_) => {}
            FaultType::ProcessPause(pause) => validate_pause(pause, &at, problems),
            FaultType::ProcessKill(kill) => kill.validate(&at, problems),
        }
    }
}

fn validate_quota(quota: &CpuQuota, at: &FieldPath, problems: &mut Problems) {
    if quota.share == Share::NONE {
        problems.add_with_help(
            at.key("share"),
            "a server with 0% of its CPU is stopped, not slow, expected above 0% and below 100%",
            "use `process.pause` to stop it",
        );
    }
    if quota.share == Share::ALL {
        problems.add(
            at.key("share"),
            "100% takes nothing away, expected above 0% and below 100%",
        );
    }
}

fn validate_pause(pause: &ProcessPause, at: &FieldPath, problems: &mut Problems) {
    let (length, period) = match (pause.length, pause.period) {
        (None, None) => return,
        (Some(length), Some(period)) => (length, period),
        _ => {
            return problems.add_with_help(
                at.clone(),
                "expected both `for` and `period`, or neither",
                "`{for: 100ms, period: 1s}` stops the server for the first 100 ms of every second, `{}` throughout",
            );
        }
    };
    if length < SHORTEST_PAUSE {
        problems.add(
            at.key("for"),
            format!("{length} is below the grain of signals, expected at least {SHORTEST_PAUSE}"),
        );
    }
    if length.duration() + SHORTEST_PAUSE.duration() > period.duration() {
        problems.add(
            at.key("for"),
            format!("expected at least {SHORTEST_PAUSE} shorter than the period, {period}"),
        );
    }
}
