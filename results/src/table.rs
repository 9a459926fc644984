//! The table that a run ends with, as plain text.

use std::fmt::Write as _;

use vocab::ids::Phase;

use crate::stats::{Analysis, CellAnalysis, CellPhase, Ratio, Tolerance};

/// The table: for each cell its baseline, fault and recovery (median over the valid trials), how they compare with the
/// baseline, invalid trials with their reason, and what bends the numbers as notes. At most about 100 columns wide.
pub fn text(analysis: &Analysis) -> String {
    let mut rows = vec![
        [
            "cell",
            "phase",
            "throughput",
            "p50",
            "p99",
            "errors",
            "vs baseline",
        ]
        .map(str::to_owned),
    ];
    let mut lines = Vec::new();
    for cell in &analysis.cells {
        for (row, phase) in cell
            .phases
            .iter()
            .filter(|one| shown(one, cell))
            .enumerate()
        {
            let first = if row == 0 {
                cell.id.to_string()
            } else {
                String::new()
            };
            rows.push(phase_row(first, phase));
            lines.push(Line::Row(rows.len() - 1));
        }
        if let Some(tolerance) = cell.tolerance {
            lines.push(Line::Text(show_tolerance(tolerance)));
        }
        for judged in &cell.judged {
            lines.push(Line::Text(format!("{}  {judged}", cell.id)));
        }
        for (trials, reason) in cell.invalid_by_reason() {
            let line = format!("{}, {trials}  invalid: {reason}", cell.id);
            lines.push(Line::Text(line));
        }
        for (trial, verdict) in cell.doubtful_histories() {
            let line = format!("{}, trial {trial}  history {verdict}", cell.id);
            lines.push(Line::Text(line));
        }
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    push_row(&mut text, &rows[0], &widths);
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    text.push_str(rule.join("  ").trim_end());
    text.push('\n');
    for line in lines {
        match line {
            Line::Row(index) => push_row(&mut text, &rows[index], &widths),
            Line::Text(words) => {
                text.push_str(&words);
                text.push('\n');
            }
        }
    }
    push_notes(&mut text, analysis);
    text
}

enum Line {
    Row(usize),
    Text(String),
}

/// Warm-up says nothing, and of a mix only the whole fits.
fn shown(phase: &CellPhase, cell: &CellAnalysis) -> bool {
    phase.phase != Phase::Warmup && cell.phase(phase.phase) == Some(phase)
}

fn phase_row(cell: String, phase: &CellPhase) -> [String; 7] {
    let latency = |spread: Option<crate::stats::Spread>| {
        spread.map_or_else(
            || "-".to_owned(),
            |spread| format!("{} ms", significant(spread.median)),
        )
    };
    [
        cell,
        phase.phase.to_string(),
        format!("{}/s", thousands(phase.rps.median)),
        latency(phase.p50),
        latency(phase.p99),
        thousands(phase.errors as f64),
        phase.rps_ratio.map(show_ratio).unwrap_or_default(),
    ]
}

fn show_tolerance(tolerance: Tolerance) -> String {
    let show = |ratio: Option<Ratio>| ratio.map_or_else(|| "-".to_owned(), show_ratio);
    format!(
        "  windows with the faults against those without, {} pairs: throughput {}, p99 {}",
        tolerance.pairs,
        show(tolerance.rps),
        show(tolerance.p99)
    )
}

fn show_ratio(ratio: Ratio) -> String {
    let mut text = format!("{:.2}x", ratio.median);
    if let Some((low, high)) = ratio.interval {
        write!(text, " [{low:.2}, {high:.2}]").expect("memory takes text");
    }
    text
}

fn push_row(text: &mut String, row: &[String; 7], widths: &[usize]) {
    let mut line = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let gap = if column == 0 { "" } else { "  " };
        // Names to the left, numbers to the right.
        let padded = if matches!(column, 0 | 1 | 6) {
            format!("{cell:<width$}")
        } else {
            format!("{cell:>width$}")
        };
        line.push_str(gap);
        line.push_str(&padded);
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn push_notes(text: &mut String, analysis: &Analysis) {
    let several = analysis
        .cells
        .iter()
        .any(|cell| cell.valid_trials().count() > 1);
    if several {
        text.push_str("\nmedians over the valid trials; [..] is the bootstrap's 95 % interval\n");
    }
    for limitation in &analysis.limitations {
        writeln!(text, "note: {limitation}").expect("memory takes text");
    }
}

/// A whole number with commas between thousands.
pub fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 {
        format!("-{text}")
    } else {
        text
    }
}

/// Three digits that carry meaning, as latencies are good to no more.
pub fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
