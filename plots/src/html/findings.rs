//! What the numbers say, in sentences.

use results::stats::{Analysis, CellAnalysis, Ratio, Recovery, Spread, Tolerance};
use vocab::ids::Phase;

use crate::figure::CellLabel;

/// One sentence for each cell.
pub(super) fn of(analysis: &Analysis, labels: &[CellLabel]) -> Vec<String> {
    let cells = analysis.cells.iter().zip(labels);
    cells
        .map(|(cell, label)| format!("{}: {}.", label.line(), finding(cell)))
        .collect()
}

fn finding(cell: &CellAnalysis) -> String {
    if cell.phases.is_empty() {
        return "no valid trial, so no numbers".to_owned();
    }
    let Some(fault) = cell.phase(Phase::Fault) else {
        return "no fault phase".to_owned();
    };
    let mut parts = Vec::new();
    if let Some(ratio) = fault.rps_ratio {
        parts.push(format!(
            "with the fault, throughput was {:.2}× the baseline",
            ratio.median
        ));
    }
    if let Some(ratio) = fault.p99_ratio {
        parts.push(format!("p99 latency {:.2}×", ratio.median));
    }
    parts.extend(cell.tolerance.map(windows));
    parts.extend(recovery(cell));
    let unavailable = cell
        .valid_trials()
        .map(|trial| trial.effects.unavailable_for().as_secs_f64());
    if let Some(longest) = Spread::of(unavailable).filter(|spread| spread.max > 0.0) {
        parts.push(format!("unavailable for up to {:.1} s", longest.max));
    }
    let changed = cell
        .valid_trials()
        .filter(|trial| trial.effects.leader_changes > 0)
        .count();
    if changed > 0 {
        parts.push(format!(
            "the leader changed in {changed} of {} trials",
            cell.valid_trials().count()
        ));
    }
    parts.join(", ")
}

fn windows(tolerance: Tolerance) -> String {
    let said = |what: &str, ratio: Option<Ratio>| {
        let ratio = ratio?;
        let interval = ratio
            .interval
            .map(|(low, high)| format!(" ({low:.2} to {high:.2})"))
            .unwrap_or_default();
        Some(format!("{what} {:.2}×{interval}", ratio.median))
    };
    let numbers = [
        said("throughput", tolerance.rps),
        said("p99 latency", tolerance.p99),
    ];
    format!(
        "in {} pairs of windows, with the fault against without: {}",
        tolerance.pairs,
        numbers
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" and ")
    )
}

fn recovery(cell: &CellAnalysis) -> Option<String> {
    let all: Vec<Recovery> = cell
        .valid_trials()
        .map(|trial| trial.effects.recovery)
        .collect();
    let late = all
        .iter()
        .filter(|one| matches!(one, Recovery::NotWithin(_)))
        .count();
    if late > 0 {
        return Some(format!(
            "throughput was not back to normal in {late} of {} trials",
            all.len()
        ));
    }
    let times = all.iter().filter_map(|one| match one {
        Recovery::After(span) => Some(span.as_secs_f64()),
        Recovery::NotWithin(_) | Recovery::Unknown => None,
    });
    Spread::of(times)
        .map(|spread| format!("back to normal {:.1} s after it was cleared", spread.median))
}
