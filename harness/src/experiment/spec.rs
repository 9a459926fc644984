use std::num::NonZeroU32;

use faults::FaultSpec;
use results::Expectation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use targets::TargetSpec;
use vocab::ids::ExperimentName;
use vocab::problem::{FieldPath, Problems, Validate};
use workloads::Workload;

use super::{Phases, Sweep};
use crate::cluster::spec::ClusterSpec;

/// An experiment of depbench: what happens to a replicated system when one node is not dead, only slow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Experiment of depbench")]
pub struct Spec {
    /// Names the directory of results.
    pub name: ExperimentName,
    /// What the experiment is about, shown in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the nodes come from.
    pub cluster: ClusterSpec,
    /// The systems under test, one after another on the same cluster.
    #[schemars(length(min = 1))]
    pub targets: Vec<TargetSpec>,
    /// The load on them.
    #[serde(default)]
    pub workload: Workload,
    /// How long each phase of a trial lasts.
    #[serde(default)]
    pub phases: Phases,
    /// What becomes slow, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultSpec>,
    /// Fields and the values they take in turn; every combination is measured.
    #[serde(default, skip_serializing_if = "Sweep::is_empty")]
    pub sweep: Sweep,
    /// Repetitions of every point of the sweep.
    #[serde(default = "one")]
    pub trials: NonZeroU32,
    /// What must come out; the run fails if it does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// Makes the order of trials, the keys and the arrivals repeatable.
    #[serde(default = "seed")]
    pub seed: u64,
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn seed() -> u64 {
    42
}

impl Validate for Spec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        self.cluster.validate(&at.key("cluster"), problems);
        if self.targets.is_empty() {
            problems.add_with_help(
                at.key("targets"),
                "no system under test, expected at least one",
                "write `targets: [{depfast-raft: {}}]`; `depbench list` shows all",
            );
        }
        for (index, target) in self.targets.iter().enumerate() {
            target.validate(&at.key("targets").index(index), problems);
        }
        self.workload.validate(&at.key("workload"), problems);
        self.phases.validate(&at.key("phases"), problems);
        for (index, fault) in self.faults.iter().enumerate() {
            fault.validate(&at.key("faults").index(index), problems);
        }
        for (index, expectation) in self.expect.iter().enumerate() {
            expectation.validate(&at.key("expect").index(index), problems);
        }
    }
}
