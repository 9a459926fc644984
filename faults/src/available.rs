//! Whether a machine can carry a fault out: every means there is, what each lacks, and the first that lacks nothing.

mod backend;
mod cpu;
mod disk;
mod memory;
mod net;

use std::fmt;

use node::cgroup::{Controller, Mode};
use node::facts::Facts;
use serde::{Deserialize, Serialize};

pub use backend::Backend;

use crate::impairment::Impairment;
use crate::site::Wiring;
use crate::spec::FaultType;

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

/// A means of carrying a fault out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Which.
    pub backend: Backend,
    /// What it lacks here, or why it is no means to what was asked for; `None` if it can be had.
    pub obstacle: Option<String>,
    /// What must be known when the results are read.
    pub note: Option<String>,
}

impl Candidate {
    fn new(backend: Backend, obstacle: Option<String>) -> Candidate {
        Candidate {
            backend,
            obstacle,
            note: None,
        }
    }

    fn noted(self, note: &str) -> Candidate {
        Candidate {
            note: Some(note.to_owned()),
            ..self
        }
    }
}

/// Every means of carrying `kind` out on a machine with these means, joined to the others like this; the best first.
pub fn candidates(kind: &FaultType, facts: &Facts, wiring: Wiring) -> Vec<Candidate> {
    let impaired = |impairment: Impairment| net::impaired(&impairment, facts, wiring);
    match kind {
        FaultType::CpuQuota(_) => cpu::quota(facts),
        FaultType::CpuContention(_) => cpu::contention(facts),
        FaultType::MemoryLimit(limit) => memory::limit(limit, facts),
        FaultType::MemoryContention(_) => memory::contention(),
        FaultType::DiskThroughput(_) | FaultType::DiskIops(_) => disk::limit(facts),
        FaultType::DiskContention(_) => disk::contention(facts),
        FaultType::DiskLatency(latency) => disk::latency(latency, facts),
        FaultType::NetDelay(delay) => impaired(Impairment::Delay(delay.clone())),
        FaultType::NetLoss(loss) => impaired(Impairment::Loss(loss.clone())),
        FaultType::NetReorder(reorder) => impaired(Impairment::Reorder(reorder.clone())),
        FaultType::NetDuplicate(duplicate) => impaired(Impairment::Duplicate(duplicate.clone())),
        FaultType::NetCorrupt(corrupt) => impaired(Impairment::Corrupt(corrupt.clone())),
        FaultType::NetRate(rate) => impaired(Impairment::Rate(rate.clone())),
        FaultType::NetPartition(_) => net::partition(facts, wiring),
        FaultType::ProcessPause(_) | FaultType::ProcessKill(_) => {
            vec![Candidate::new(Backend::Signals, None)]
        }
    }
}

/// Whether a machine with these means, joined to the others like this, can carry `kind` out, and how: by the first of the
/// [`candidates`] that nothing stands in the way of.
pub fn available(kind: &FaultType, facts: &Facts, wiring: Wiring) -> Availability {
    let mut obstacles: Vec<String> = Vec::new();
    for candidate in candidates(kind, facts, wiring) {
        match candidate.obstacle {
            None => {
                return Availability::Yes {
                    backend: candidate.backend,
                    note: candidate.note,
                };
            }
            Some(obstacle) if obstacles.contains(&obstacle) => {}
            Some(obstacle) => obstacles.push(obstacle),
        }
    }
    Availability::No {
        reason: obstacles.join("; "),
        nearest: nearest(kind),
    }
}

/// What comes nearest to a fault that cannot be had.
fn nearest(kind: &FaultType) -> Option<String> {
    match kind {
        FaultType::CpuContention(contention) => Some(cpu::nearest(contention)),
        FaultType::DiskThroughput(_) | FaultType::DiskIops(_) => Some(disk::nearest_to_limit()),
        FaultType::DiskLatency(_) => disk::nearest_to_latency(),
        kind if kind.is_of_the_network() => Some(net::NEAREST.to_owned()),
        _ => None,
    }
}

/// What stands in the way of whoever `need`s a controller of cgroups, of any version or only this one.
fn lacks_controller(
    facts: &Facts,
    controller: Controller,
    version: Option<Mode>,
    need: &str,
) -> Option<String> {
    let mode = facts.cgroups.mode();
    if !facts.cgroups.has(controller) {
        // What is mounted but out of reach.
        let refused = facts.cgroups.refused().iter();
        let refused: String = refused.map(|reason| format!("; {reason}")).collect();
        return Some(format!("{need} of cgroups ({mode}{refused}): run as root"));
    }
    version
        .filter(|version| *version != mode)
        .map(|_| format!("the controllers here are those of {mode}"))
}
