use std::fs;

use results::stats::{Analysis, TrialAnalysis};
use results::{HistoryVerdict, ResultsError, RunDir};
use serde::Serialize;
use vocab::ids::TrialId;

use crate::experiment;
use crate::plan::Plan;

/// What the trials of a run allow to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every trial is valid, and no recorded history speaks against the target.
    Pass,
    /// A recorded history is not linearizable: the target has lost or made up something.
    Fail,
    /// Some trials are invalid, or were not run yet, or their histories could not be decided.
    Inconclusive,
}

/// What `verdict.json` holds: the verdict, and what it rests on.
#[derive(Debug, Serialize)]
struct Grounds<'a> {
    verdict: Verdict,
    planned: usize,
    valid: usize,
    invalid: Vec<Objection<'a>>,
    /// Histories that are not linearizable, or not decided.
    histories: Vec<Doubt<'a>>,
}

/// What is wrong with the history of a trial.
#[derive(Debug, Serialize)]
struct Doubt<'a> {
    #[serde(flatten)]
    trial: &'a TrialId,
    history: &'a HistoryVerdict,
}

/// Why a trial does not count.
#[derive(Debug, Serialize)]
struct Objection<'a> {
    #[serde(flatten)]
    trial: &'a TrialId,
    reason: String,
}

impl Verdict {
    /// Judges a run, and writes `verdict.json`.
    pub(super) fn write(dir: &RunDir, analysis: &Analysis) -> Result<Verdict, ResultsError> {
        let grounds = Grounds::of(dir, analysis);
        let path = dir.path().join("verdict.json");
        let text = serde_json::to_string_pretty(&grounds).map_err(std::io::Error::from);
        let written = text.and_then(|text| fs::write(&path, text + "\n"));
        written.map_err(|source| ResultsError::Write { path, source })?;
        Ok(grounds.verdict)
    }
}

impl<'a> Grounds<'a> {
    fn of(dir: &RunDir, analysis: &'a Analysis) -> Grounds<'a> {
        let trials = || analysis.cells.iter().flat_map(|cell| &cell.trials);
        let valid = trials().filter(|trial| trial.is_valid()).count();
        // An experiment that this version does not understand any more says nothing of what is missing.
        let planned = experiment::from_text("experiment.yaml", dir.experiment_yaml().to_owned())
            .map_or_else(
                |_| trials().count(),
                |experiment| Plan::of(&experiment).trials.len(),
            );
        let histories: Vec<_> = trials().filter_map(Doubt::of).collect();
        let violated = |one: &Doubt<'_>| matches!(one.history, HistoryVerdict::Violated { .. });
        let verdict = if histories.iter().any(violated) {
            Verdict::Fail
        } else if valid == planned && histories.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        Grounds {
            verdict,
            planned,
            valid,
            invalid: trials().filter_map(Objection::of).collect(),
            histories,
        }
    }
}

impl<'a> Doubt<'a> {
    fn of(trial: &'a TrialAnalysis) -> Option<Doubt<'a>> {
        let history = trial.record.history.as_ref()?;
        let fine = matches!(history, HistoryVerdict::Linearizable { .. });
        (!fine).then_some(Doubt {
            trial: &trial.record.setup.id,
            history,
        })
    }
}

impl<'a> Objection<'a> {
    fn of(trial: &'a TrialAnalysis) -> Option<Objection<'a>> {
        let reason = trial.record.validity().reason()?.to_owned();
        Some(Objection {
            trial: &trial.record.setup.id,
            reason,
        })
    }
}
