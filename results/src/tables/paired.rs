use super::{name, parameters, rate, ratio_fields, trials, write};
use crate::disk::{RunDir, milliseconds, optional};
use crate::error::ResultsError;
use crate::stats::{Analysis, TrialAnalysis};

const PAIRS: [&str; 13] = [
    "cell",
    "target",
    "parameters",
    "trial",
    "pair",
    "free_rps",
    "fault_rps",
    "free_p99_ms",
    "fault_p99_ms",
    "free_errors",
    "fault_errors",
    "valid",
    "reason",
];

const TOLERANCE: [&str; 11] = [
    "cell",
    "target",
    "parameters",
    "valid_trials",
    "pairs",
    "rps_ratio",
    "rps_ratio_low",
    "rps_ratio_high",
    "p99_ratio",
    "p99_ratio_low",
    "p99_ratio_high",
];

/// Writes `pairs.csv` and `tolerance.csv`, if any fault phase is paired.
pub(super) fn write_tables(run: &RunDir, analysis: &Analysis) -> Result<(), ResultsError> {
    if trials(analysis).all(|trial| trial.pairs.is_empty()) {
        return Ok(());
    }
    let pairs = trials(analysis).flat_map(pair_lines).collect();
    write(&run.path().join("pairs.csv"), &PAIRS, pairs)?;
    let lines = tolerance_lines(analysis);
    write(&run.path().join("tolerance.csv"), &TOLERANCE, lines)
}

fn pair_lines(trial: &TrialAnalysis) -> Vec<Vec<String>> {
    let validity = trial.record.validity();
    let line = |pair: &crate::stats::Pair| {
        let mut line = name(&trial.record.setup);
        line.extend([
            pair.number.to_string(),
            rate(pair.free.rps),
            rate(pair.fault.rps),
            optional(pair.free.p99, milliseconds),
            optional(pair.fault.p99, milliseconds),
            pair.free.errors.to_string(),
            pair.fault.errors.to_string(),
            trial.is_valid().to_string(),
            validity.reason().unwrap_or_default().to_owned(),
        ]);
        line
    };
    trial.pairs.iter().map(line).collect()
}

fn tolerance_lines(analysis: &Analysis) -> Vec<Vec<String>> {
    let paired = analysis
        .cells
        .iter()
        .filter_map(|cell| Some((cell, cell.tolerance?)));
    paired
        .map(|(cell, tolerance)| {
            let mut line = vec![
                cell.id.to_string(),
                cell.target.clone(),
                parameters(&cell.parameters),
                cell.valid_trials().count().to_string(),
                tolerance.pairs.to_string(),
            ];
            line.extend(ratio_fields(tolerance.rps));
            line.extend(ratio_fields(tolerance.p99));
            line
        })
        .collect()
}
