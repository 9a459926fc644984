mod disk;
mod memory;
mod net;

use std::fmt;

use node::cgroup::Controller;
use node::facts::Facts;
use serde::{Deserialize, Serialize};

use crate::impairment::Impairment;
use crate::site::Wiring;
use crate::spec::{CpuContention, CpuQuota, FaultType};
use vocab::units::Share;

/// By which means a fault is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// `cpu.max` or `cpu.cfs_quota_us` on the server's cgroup.
    CgroupQuota,
    /// `SIGSTOP` and `SIGCONT` in turn, metered.
    DutyCycle,
    /// Busy threads in a cgroup with a weight.
    WeightedSpinner,
    /// `memory.high`: throttled above the limit (cgroup v2).
    MemoryHigh,
    /// `memory.limit_in_bytes` with swap space of depbench's own (cgroup v1).
    MemoryLimitSwap,
    /// `memory.limit_in_bytes`: reclaimed, then killed (cgroup v1).
    MemoryLimit,
    /// A program that writes to memory.
    MemoryToucher,
    /// `io.max` on the server's cgroup (v2).
    IoMax,
    /// `blkio.throttle` on the server's cgroup (v1).
    BlkioThrottle,
    /// A program that writes to the disk.
    DiskWriter,
    /// A file system of depbench's own over the servers' data.
    LatencyLayer,
    /// The kernel's own emulation on the node's link.
    Netem,
    /// A token bucket on the node's link.
    Tbf,
    /// depbench's own queue in the hub.
    DelayLine,
    /// depbench's own queue behind a link of its own on the node.
    TapLine,
    /// Rules in a packet filter chain of depbench's own.
    PacketFilter,
    /// `SIGSTOP`, and `SIGCONT` at the end.
    Signals,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::CgroupQuota => "cgroup quota",
            Backend::DutyCycle => "duty cycle (SIGSTOP/SIGCONT)",
            Backend::WeightedSpinner => "spinner in a weighted cgroup",
            Backend::MemoryHigh => "cgroup v2 memory.high",
            Backend::MemoryLimitSwap => "cgroup v1 memory limit with swap space of its own",
            Backend::MemoryLimit => "cgroup v1 memory limit",
            Backend::MemoryToucher => "program that touches memory",
            Backend::IoMax => "cgroup v2 io.max",
            Backend::BlkioThrottle => "cgroup v1 blkio.throttle",
            Backend::DiskWriter => "program that writes to the disk",
            Backend::LatencyLayer => "file system layer (FUSE) over the servers' data",
            Backend::Netem => "netem",
            Backend::Tbf => "tbf",
            Backend::DelayLine => "delay line in the hub",
            Backend::TapLine => "delay line on the node",
            Backend::PacketFilter => "packet filter",
            Backend::Signals => "signals",
        })
    }
}

/// Whether a fault can be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// Yes.
    Yes {
        /// By these means, the best there are.
        backend: Backend,
        /// What must be known when the results are read.
        note: Option<String>,
    },
    /// No.
    No {
        /// What is missing, and how to get it.
        reason: String,
        /// The fault that comes nearest and is possible.
        nearest: Option<String>,
    },
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Availability::Yes { backend, note } => {
                write!(f, "{backend}")?;
                note.iter().try_for_each(|note| write!(f, "; {note}"))
            }
            Availability::No { reason, nearest } => {
                write!(f, "not possible: {reason}")?;
                let mut nearest = nearest.iter();
                nearest.try_for_each(|nearest| write!(f, "; nearest: {nearest}"))
            }
        }
    }
}

/// Whether a machine with these means, joined to the others like this, can carry `kind` out, and how.
pub fn available(kind: &FaultType, facts: &Facts, wiring: Wiring) -> Availability {
    let impaired = |impairment: Impairment| net::impaired(&impairment, facts, wiring);
    match kind {
        FaultType::CpuQuota(_) => quota(facts),
        FaultType::CpuContention(contention) => weighted(contention, facts),
        FaultType::MemoryLimit(limit) => memory::limit(limit, facts),
        FaultType::MemoryContention(_) => memory::contention(),
        FaultType::DiskThroughput(_) | FaultType::DiskIops(_) => disk::limit(facts),
        FaultType::DiskContention(_) => disk::contention(facts),
        FaultType::DiskLatency(_) => disk::latency(facts),
        FaultType::NetDelay(delay) => impaired(Impairment::Delay(delay.clone())),
        FaultType::NetLoss(loss) => impaired(Impairment::Loss(loss.clone())),
        FaultType::NetReorder(reorder) => impaired(Impairment::Reorder(reorder.clone())),
        FaultType::NetDuplicate(duplicate) => impaired(Impairment::Duplicate(duplicate.clone())),
        FaultType::NetCorrupt(corrupt) => impaired(Impairment::Corrupt(corrupt.clone())),
        FaultType::NetRate(rate) => impaired(Impairment::Rate(rate.clone())),
        FaultType::NetPartition(_) => net::partition(facts, wiring),
        FaultType::ProcessPause(_) | FaultType::ProcessKill(_) => yes(Backend::Signals, None),
    }
}

fn yes(backend: Backend, note: Option<&str>) -> Availability {
    Availability::Yes {
        backend,
        note: note.map(str::to_owned),
    }
}

fn no(reason: String, nearest: Option<FaultType>) -> Availability {
    Availability::No {
        reason,
        nearest: nearest.map(|kind| kind.to_string()),
    }
}

fn quota(facts: &Facts) -> Availability {
    if facts.cgroups.has(Controller::Cpu) {
        return yes(Backend::CgroupQuota, None);
    }
    let note = "without cgroups the server is stopped and continued by signals, and runs up to a fifth of a millisecond too long each time";
    yes(Backend::DutyCycle, Some(note))
}

fn weighted(contention: &CpuContention, facts: &Facts) -> Availability {
    if facts.cgroups.has(Controller::Cpu) {
        return yes(Backend::WeightedSpinner, None);
    }
    let left = Share::from_fraction(1.0 / (1.0 + contention.weight.ratio())).unwrap_or(Share::ALL);
    let nearest = FaultType::CpuQuota(CpuQuota { share: left });
    Availability::No {
        reason: format!(
            "weights need the cpu controller of cgroups ({}{}): run as root",
            facts.cgroups.mode(),
            refusals(facts)
        ),
        nearest: Some(format!("{nearest}, the share that such a program leaves")),
    }
}

/// What is mounted but out of reach, as an addition.
fn refusals(facts: &Facts) -> String {
    let refused = facts.cgroups.refused();
    refused.iter().map(|reason| format!("; {reason}")).collect()
}
