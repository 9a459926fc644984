use std::fs;

use results::stats::{Analysis, CellAnalysis, Judgement, TrialAnalysis};
use results::{Expectation, HistoryVerdict, ResultsError, RunDir};
use serde::Serialize;
use vocab::ids::{CellId, TrialId};

use crate::experiment::Experiment;
use crate::plan::Plan;

/// What the trials of a run allow to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every trial is valid, no recorded history speaks against the target, and what was expected holds.
    Pass,
    /// A recorded history is not linearizable: the target has lost or made up something. Or what was expected of the
    /// outcome is not so.
    Fail,
    /// Some trials are invalid, or were not run yet, or their histories or what was expected could not be decided.
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
    expectations: Vec<Expected<'a>>,
}

/// What was expected of a cell, and what came of it.
#[derive(Debug, Serialize)]
struct Expected<'a> {
    cell: &'a CellId,
    #[serde(flatten)]
    expectation: &'a Expectation,
    /// The median of the ratios, and its 95 % interval.
    ratio: Option<f64>,
    interval: Option<(f64, f64)>,
    judgement: String,
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
    pub(super) fn write(
        dir: &RunDir,
        experiment: Option<&Experiment>,
        analysis: &Analysis,
    ) -> Result<Verdict, ResultsError> {
        let grounds = Grounds::of(experiment, analysis);
        let path = dir.path().join("verdict.json");
        let text = serde_json::to_string_pretty(&grounds).map_err(std::io::Error::from);
        let written = text.and_then(|text| fs::write(&path, text + "\n"));
        written.map_err(|source| ResultsError::Write { path, source })?;
        Ok(grounds.verdict)
    }
}

impl<'a> Grounds<'a> {
    fn of(experiment: Option<&Experiment>, analysis: &'a Analysis) -> Grounds<'a> {
        let trials = || analysis.cells.iter().flat_map(|cell| &cell.trials);
        let valid = trials().filter(|trial| trial.is_valid()).count();
        // An experiment that this version does not understand any more says nothing of what is missing.
        let planned = experiment.map_or_else(
            || trials().count(),
            |experiment| Plan::of(experiment).trials.len(),
        );
        let histories: Vec<_> = trials().filter_map(Doubt::of).collect();
        let violated = |one: &Doubt<'_>| matches!(one.history, HistoryVerdict::Violated { .. });
        let judged = || analysis.cells.iter().flat_map(|cell| &cell.judged);
        let expected = Judgement::of_all(judged().map(|one| one.judgement));
        let verdict = if histories.iter().any(violated) || expected == Judgement::Outside {
            Verdict::Fail
        } else if valid == planned && histories.is_empty() && expected == Judgement::Inside {
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
            expectations: analysis.cells.iter().flat_map(Expected::of).collect(),
        }
    }
}

impl<'a> Expected<'a> {
    fn of(cell: &'a CellAnalysis) -> impl Iterator<Item = Expected<'a>> {
        cell.judged.iter().map(|judged| Expected {
            cell: &cell.id,
            expectation: &judged.expectation,
            ratio: judged.ratio.map(|ratio| ratio.median),
            interval: judged.ratio.and_then(|ratio| ratio.interval),
            judgement: judged.judgement.to_string(),
        })
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
