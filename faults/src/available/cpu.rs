//! Which CPU faults a machine can carry out.

use node::cgroup::Controller;
use node::facts::Facts;
use vocab::units::Share;

use super::{Backend, Candidate, lacks_controller};
use crate::spec::{CpuContention, CpuQuota, FaultType};

pub(super) fn quota(facts: &Facts) -> Vec<Candidate> {
    let signals = Candidate::new(Backend::DutyCycle, None);
    vec![
        Candidate::new(Backend::CgroupQuota, obstacle(facts, "quotas")),
        signals.noted("without cgroups the server is stopped and continued by signals, and runs up to a fifth of a millisecond too long each time"),
    ]
}

pub(super) fn contention(facts: &Facts) -> Vec<Candidate> {
    let obstacle = obstacle(facts, "weights");
    vec![Candidate::new(Backend::WeightedSpinner, obstacle)]
}

/// The share that such a program leaves to the server.
pub(super) fn nearest(contention: &CpuContention) -> String {
    let left = Share::from_fraction(1.0 / (1.0 + contention.weight.ratio())).unwrap_or(Share::ALL);
    let nearest = FaultType::CpuQuota(CpuQuota { share: left });
    format!("{nearest}, the share that such a program leaves")
}

fn obstacle(facts: &Facts, what: &str) -> Option<String> {
    let need = format!("{what} need the cpu controller");
    lacks_controller(facts, Controller::Cpu, None, &need)
}
