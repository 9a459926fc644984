use vocab::ids::{CellId, Phase};

use super::analysis::TrialAnalysis;
use super::bootstrap::Ratio;
use super::paired::Tolerance;
use super::phase::{Ops, PhaseSummary, Quantiles};
use super::spread::Spread;
use crate::expect::Judged;
use crate::record::{HistoryVerdict, Parameters, TrialSetup};

/// All trials of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CellAnalysis {
    /// The cell.
    pub id: CellId,
    /// The system under test.
    pub target: String,
    /// What the cell sets.
    pub parameters: Parameters,
    /// All of them, also the invalid ones.
    pub trials: Vec<TrialAnalysis>,
    /// The valid ones together, by phase and kind of operation; empty if there is none.
    pub phases: Vec<CellPhase>,
    /// The pairs of windows of the valid trials together, if the fault phase is paired.
    pub tolerance: Option<Tolerance>,
    /// What the experiment expects of this cell, and what came of it.
    pub judged: Vec<Judged>,
}

/// A phase of a cell over its valid trials.
#[derive(Debug, Clone, PartialEq)]
pub struct CellPhase {
    /// The phase.
    pub phase: Phase,
    /// Of which operations.
    pub ops: Ops,
    /// Operations that succeeded, in all trials.
    pub n: u64,
    /// Operations that did not, in all trials.
    pub errors: u64,
    /// Throughput.
    pub rps: Spread,
    /// Median latency in milliseconds.
    pub p50: Option<Spread>,
    /// 99th percentile of latency in milliseconds.
    pub p99: Option<Spread>,
    /// 99.9th percentile of latency in milliseconds.
    pub p999: Option<Spread>,
    /// Throughput against the baseline; `None` for the warm-up and the baseline itself.
    pub rps_ratio: Option<Ratio>,
    /// Median latency against the baseline.
    pub p50_ratio: Option<Ratio>,
    /// 99th percentile against the baseline.
    pub p99_ratio: Option<Ratio>,
}

impl CellAnalysis {
    pub(super) fn new(setup: &TrialSetup, trials: Vec<TrialAnalysis>) -> CellAnalysis {
        CellAnalysis {
            id: setup.id.cell.clone(),
            target: setup.target.clone(),
            parameters: setup.parameters.clone(),
            phases: over_trials(&trials),
            tolerance: Tolerance::of(
                trials
                    .iter()
                    .filter(|trial| trial.is_valid())
                    .flat_map(|trial| &trial.pairs),
            ),
            trials,
            judged: Vec::new(),
        }
    }

    /// The trials whose numbers count.
    pub fn valid_trials(&self) -> impl Iterator<Item = &TrialAnalysis> {
        self.trials.iter().filter(|trial| trial.is_valid())
    }

    /// A phase over all valid trials, all operations together.
    pub fn phase(&self, phase: Phase) -> Option<&CellPhase> {
        let mut all = self.phases.iter().filter(|one| one.ops == Ops::All);
        all.find(|one| one.phase == phase)
    }

    /// The trials whose histories are not linearizable, or not decided: their numbers and what was found.
    pub fn doubtful_histories(&self) -> impl Iterator<Item = (u32, &HistoryVerdict)> {
        self.trials.iter().filter_map(|trial| {
            let verdict = trial.record.history.as_ref()?;
            let fine = matches!(verdict, HistoryVerdict::Linearizable { .. });
            (!fine).then_some((trial.record.setup.id.number, verdict))
        })
    }

    /// Why trials do not count, as words and reason: `trials 1, 3`, `an agent was lost`.
    pub fn invalid_by_reason(&self) -> Vec<(String, String)> {
        let words = |numbers: Vec<u32>| {
            let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let trials = if list.len() == 1 { "trial" } else { "trials" };
            format!("{trials} {}", list.join(", "))
        };
        let joined = by_reason(self.invalid()).into_iter();
        joined
            .map(|(numbers, reason)| (words(numbers), reason))
            .collect()
    }

    /// Why trials do not count: their numbers and the reasons.
    pub fn invalid(&self) -> Vec<(u32, String)> {
        self.trials
            .iter()
            .filter_map(|trial| {
                let validity = trial.record.validity();
                Some((trial.record.setup.id.number, validity.reason()?.to_owned()))
            })
            .collect()
    }
}

/// Joins the trials that do not count for the same reason.
fn by_reason(invalid: Vec<(u32, String)>) -> Vec<(Vec<u32>, String)> {
    let mut joined: Vec<(Vec<u32>, String)> = Vec::new();
    for (number, reason) in invalid {
        match joined.iter_mut().find(|(_, same)| *same == reason) {
            Some((numbers, _)) => numbers.push(number),
            None => joined.push((vec![number], reason)),
        }
    }
    joined
}

fn over_trials(trials: &[TrialAnalysis]) -> Vec<CellPhase> {
    let valid = || trials.iter().filter(|trial| trial.is_valid());
    let mut keys: Vec<(Phase, Ops)> = valid()
        .flat_map(|trial| trial.phases.iter().map(|one| (one.phase, one.ops)))
        .collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter_map(|(phase, ops)| {
            let these: Vec<&PhaseSummary> = valid()
                .filter_map(|trial| trial.phase(phase, ops))
                .collect();
            let latency = |pick: fn(&Quantiles) -> f64| {
                Spread::of(
                    these
                        .iter()
                        .filter_map(|one| one.latency.as_ref().map(pick)),
                )
            };
            let ratio = |pick: fn(&PhaseSummary) -> Option<f64>| {
                let pairs = valid().filter_map(|trial| {
                    let baseline = trial.phase(Phase::Baseline, ops).and_then(pick)?;
                    Some((trial.phase(phase, ops).and_then(pick)?, baseline))
                });
                // The mean over windows with and without the faults would be neither.
                let mixed = phase == Phase::Fault && valid().any(|trial| !trial.pairs.is_empty());
                Ratio::of(pairs).filter(|_| phase > Phase::Baseline && !mixed)
            };
            Some(CellPhase {
                phase,
                ops,
                n: these.iter().map(|one| one.n).sum(),
                errors: these.iter().map(|one| one.errors).sum(),
                rps: Spread::of(these.iter().map(|one| one.rps))?,
                p50: latency(|quantiles| quantiles.p50),
                p99: latency(|quantiles| quantiles.p99),
                p999: latency(|quantiles| quantiles.p999),
                rps_ratio: ratio(|one| Some(one.rps)),
                p50_ratio: ratio(|one| one.latency.map(|quantiles| quantiles.p50)),
                p99_ratio: ratio(|one| one.latency.map(|quantiles| quantiles.p99)),
            })
        })
        .collect()
}
