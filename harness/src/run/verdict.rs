use std::fs;

use results::stats::{Analysis, TrialAnalysis};
use results::{ResultsError, RunDir};
use serde::Serialize;
use vocab::ids::TrialId;

use crate::experiment;
use crate::plan::Plan;

/// What the trials of a run allow to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every trial is valid.
    Pass,
    /// Some trials are invalid, or were not run yet.
    Inconclusive,
}

/// What `verdict.json` holds: the verdict, and what it rests on.
#[derive(Debug, Serialize)]
struct Grounds<'a> {
    verdict: Verdict,
    planned: usize,
    valid: usize,
    invalid: Vec<Objection<'a>>,
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
        let verdict = if valid == planned {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        Grounds {
            verdict,
            planned,
            valid,
            invalid: trials().filter_map(Objection::of).collect(),
        }
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
