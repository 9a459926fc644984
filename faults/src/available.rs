use std::fmt;

use node::cgroup::{Controller, Mode};
use node::facts::Facts;
use serde::{Deserialize, Serialize};

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
    /// `memory.limit_in_bytes`: reclaimed, then killed (cgroup v1).
    MemoryLimit,
    /// The kernel's own emulation on the node's link.
    Netem,
    /// depbench's own queue in the hub.
    DelayLine,
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
            Backend::MemoryLimit => "cgroup v1 memory limit",
            Backend::Netem => "netem",
            Backend::DelayLine => "delay line in the hub",
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
    match kind {
        FaultType::CpuQuota(_) => quota(facts),
        FaultType::CpuContention(contention) => weighted(contention, facts),
        FaultType::MemoryLimit(_) => memory(facts),
        FaultType::NetDelay(_) => delay(facts, wiring),
        FaultType::ProcessPause(_) => yes(Backend::Signals, None),
    }
}

fn yes(backend: Backend, note: Option<&str>) -> Availability {
    Availability::Yes {
        backend,
        note: note.map(str::to_owned),
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

fn memory(facts: &Facts) -> Availability {
    match (facts.cgroups.has(Controller::Memory), facts.cgroups.mode()) {
        (true, Mode::V2) => yes(Backend::MemoryHigh, None),
        (true, _) if facts.swap.0 == 0 => yes(
            Backend::MemoryLimit,
            Some("without swap a server that grows past the limit is killed, not slowed"),
        ),
        (true, _) => yes(
            Backend::MemoryLimit,
            Some(
                "a server that grows past the limit swaps; swap is shared by all nodes of the machine",
            ),
        ),
        (false, mode) => Availability::No {
            reason: format!(
                "memory limits need the memory controller of cgroups ({mode}{}): run as root",
                refusals(facts)
            ),
            nearest: None,
        },
    }
}

fn delay(facts: &Facts, wiring: Wiring) -> Availability {
    if wiring == Wiring::Shared {
        return no_delay("the nodes share one loopback and have no links of their own".to_owned());
    }
    match (facts.netem.reason(), facts.nfqueue.reason()) {
        (None, _) => yes(
            Backend::Netem,
            Some("packets that the node sends are delayed; jitter may reorder them"),
        ),
        (Some(netem), None) if wiring == Wiring::Direct => no_delay(netem.to_owned()),
        (Some(_), None) => yes(
            Backend::DelayLine,
            Some("packets that the node sends are delayed; they keep their order"),
        ),
        (Some(netem), Some(nfqueue)) if netem == nfqueue => no_delay(netem.to_owned()),
        (Some(netem), Some(nfqueue)) => no_delay(format!("{netem}; {nfqueue}")),
    }
}

fn no_delay(reason: String) -> Availability {
    Availability::No {
        reason,
        nearest: Some(
            "process.pause {for: …, period: …}, which delays the server instead of its packets"
                .to_owned(),
        ),
    }
}

/// What is mounted but out of reach, as an addition.
fn refusals(facts: &Facts) -> String {
    let refused = facts.cgroups.refused();
    refused.iter().map(|reason| format!("; {reason}")).collect()
}
