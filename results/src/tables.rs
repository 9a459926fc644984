//! The numbers of a run as CSV: `trials.csv`, `summary.csv`, `effects.csv`; of paired windows also `pairs.csv` and
//! `tolerance.csv`.

mod paired;

use std::path::Path;

use crate::disk::{RunDir, milliseconds, optional, replace};
use crate::error::ResultsError;
use crate::record::TrialSetup;
use crate::stats::{Analysis, CellPhase, Quantiles, Ratio, Recovery, Spread, TrialAnalysis};

/// Writes `trials.csv` (one line for each trial, phase and kind of operation), `effects.csv` (one for each trial) and
/// `summary.csv` (one for each cell, phase and kind of operation, over the valid trials). Paired windows also give
/// `pairs.csv` (one for each pair) and `tolerance.csv` (one for each cell, over the valid trials).
///
/// # Errors
/// When a file cannot be written.
pub fn write_tables(run: &RunDir, analysis: &Analysis) -> Result<(), ResultsError> {
    write(
        &run.path().join("trials.csv"),
        &TRIALS,
        trial_lines(analysis),
    )?;
    write(
        &run.path().join("effects.csv"),
        &EFFECTS,
        effect_lines(analysis),
    )?;
    write(
        &run.path().join("summary.csv"),
        &SUMMARY,
        summary_lines(analysis),
    )?;
    paired::write_tables(run, analysis)
}

const TRIALS: [&str; 21] = [
    "cell",
    "target",
    "parameters",
    "trial",
    "phase",
    "operation",
    "n",
    "errors",
    "late",
    "dropped",
    "covered_s",
    "rps",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "p99.9_ms",
    "max_ms",
    "complete",
    "valid",
    "reason",
];

fn trial_lines(analysis: &Analysis) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for trial in trials(analysis) {
        let validity = trial.record.validity();
        for phase in &trial.phases {
            let latency = |pick: fn(&Quantiles) -> f64| {
                optional(phase.latency.as_ref().map(pick), milliseconds)
            };
            let mut line = name(&trial.record.setup);
            line.extend([
                phase.phase.to_string(),
                phase.ops.to_string(),
                phase.n.to_string(),
                phase.errors.to_string(),
                phase.late.to_string(),
                phase.dropped.to_string(),
                format!("{:.3}", phase.covered.as_secs_f64()),
                rate(phase.rps),
                latency(|one| one.p50),
                latency(|one| one.p90),
                latency(|one| one.p95),
                latency(|one| one.p99),
                latency(|one| one.p999),
                latency(|one| one.max),
                trial.record.is_complete().to_string(),
                trial.is_valid().to_string(),
                validity.reason().unwrap_or_default().to_owned(),
            ]);
            lines.push(line);
        }
    }
    lines
}

const EFFECTS: [&str; 13] = [
    "cell",
    "target",
    "parameters",
    "trial",
    "degradation",
    "recovered",
    "recovery_s",
    "unavailable_s",
    "unavailable_windows",
    "leader_changes",
    "time_to_leader_change_s",
    "valid",
    "reason",
];

fn effect_lines(analysis: &Analysis) -> Vec<Vec<String>> {
    let line = |trial: &TrialAnalysis| {
        let effects = &trial.effects;
        let (recovered, recovery) = match effects.recovery {
            Recovery::After(span) => ("yes", Some(span)),
            Recovery::NotWithin(span) => ("not within", Some(span)),
            Recovery::Unknown => ("unknown", None),
        };
        let validity = trial.record.validity();
        let mut line = name(&trial.record.setup);
        line.extend([
            optional(effects.degradation, ratio),
            recovered.to_owned(),
            optional(recovery, |span| format!("{:.3}", span.as_secs_f64())),
            format!("{:.3}", effects.unavailable_for().as_secs_f64()),
            effects.unavailable.len().to_string(),
            effects.leader_changes.to_string(),
            optional(effects.time_to_leader_change, |span| {
                format!("{:.3}", span.as_secs_f64())
            }),
            trial.is_valid().to_string(),
            validity.reason().unwrap_or_default().to_owned(),
        ]);
        line
    };
    trials(analysis).map(line).collect()
}

const SUMMARY: [&str; 30] = [
    "cell",
    "target",
    "parameters",
    "phase",
    "operation",
    "valid_trials",
    "invalid_trials",
    "n",
    "errors",
    "rps_median",
    "rps_min",
    "rps_max",
    "p50_ms_median",
    "p50_ms_min",
    "p50_ms_max",
    "p99_ms_median",
    "p99_ms_min",
    "p99_ms_max",
    "p99.9_ms_median",
    "p99.9_ms_min",
    "p99.9_ms_max",
    "rps_ratio",
    "rps_ratio_low",
    "rps_ratio_high",
    "p50_ratio",
    "p50_ratio_low",
    "p50_ratio_high",
    "p99_ratio",
    "p99_ratio_low",
    "p99_ratio_high",
];

fn summary_lines(analysis: &Analysis) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for cell in &analysis.cells {
        let line = |phase: &CellPhase| {
            let mut line = vec![
                cell.id.to_string(),
                cell.target.clone(),
                parameters(&cell.parameters),
            ];
            line.extend([
                phase.phase.to_string(),
                phase.ops.to_string(),
                cell.valid_trials().count().to_string(),
                cell.invalid().len().to_string(),
                phase.n.to_string(),
                phase.errors.to_string(),
            ]);
            line.extend(spread(Some(phase.rps), rate));
            for latency in [phase.p50, phase.p99, phase.p999] {
                line.extend(spread(latency, milliseconds));
            }
            for one in [phase.rps_ratio, phase.p50_ratio, phase.p99_ratio] {
                line.extend(ratio_fields(one));
            }
            line
        };
        lines.extend(cell.phases.iter().map(line));
    }
    lines
}

fn trials(analysis: &Analysis) -> impl Iterator<Item = &TrialAnalysis> {
    analysis.cells.iter().flat_map(|cell| &cell.trials)
}

fn name(setup: &TrialSetup) -> Vec<String> {
    vec![
        setup.id.cell.to_string(),
        setup.target.clone(),
        parameters(&setup.parameters),
        setup.id.number.to_string(),
    ]
}

/// As JSON, so that any tool can take it apart.
fn parameters(parameters: &crate::record::Parameters) -> String {
    serde_json::to_string(parameters).unwrap_or_default()
}

fn rate(value: f64) -> String {
    format!("{value:.1}")
}

fn ratio(value: f64) -> String {
    format!("{value:.4}")
}

fn spread(spread: Option<Spread>, show: fn(f64) -> String) -> [String; 3] {
    let field = |pick: fn(Spread) -> f64| optional(spread.map(pick), show);
    [
        field(|one| one.median),
        field(|one| one.min),
        field(|one| one.max),
    ]
}

fn ratio_fields(one: Option<Ratio>) -> [String; 3] {
    let interval = one.and_then(|one| one.interval);
    [
        optional(one.map(|one| one.median), ratio),
        optional(interval.map(|(low, _)| low), ratio),
        optional(interval.map(|(_, high)| high), ratio),
    ]
}

fn write(path: &Path, header: &[&str], lines: Vec<Vec<String>>) -> Result<(), ResultsError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let in_memory = "lines of equal length are written to memory";
    csv.write_record(header).expect(in_memory);
    for line in lines {
        csv.write_record(line).expect(in_memory);
    }
    replace(path, &csv.into_inner().expect(in_memory))
}
