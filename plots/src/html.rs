//! The report: one HTML file with everything in it. Askama escapes all that comes from a run's files; only the
//! figures, whose renderer escapes for itself, are put in as they are.

mod findings;
mod trial;

use askama::Template;
use results::stats::{Analysis, CellPhase, Judgement, Ratio, Spread, Tolerance};
use results::table::{significant, thousands};
use results::{Environment, NodeClock, RunDir};
use vocab::ids::Phase;

use crate::error::PlotError;
use crate::figure::CellLabel;

pub(crate) use trial::DrawnTrial;

/// A figure as it is put into the page.
pub(crate) struct Picture {
    pub(crate) svg: String,
    pub(crate) caption: String,
}

/// The page as text.
pub(crate) fn page(
    run: &RunDir,
    analysis: &Analysis,
    labels: &[CellLabel],
    pictures: Vec<Picture>,
    trials: Vec<DrawnTrial>,
) -> Result<String, PlotError> {
    let count =
        |wanted: fn(&DrawnTrial) -> bool| trials.iter().filter(|trial| wanted(trial)).count();
    let page = Page {
        environment: run.environment(),
        command: run.environment().command.join(" "),
        experiment: run.experiment_yaml(),
        valid: count(DrawnTrial::is_valid),
        invalid: trials.len() - count(DrawnTrial::is_valid),
        findings: findings::of(analysis, labels),
        rows: rows(analysis, labels),
        expectations: expectations(analysis, labels),
        reasons: reasons(analysis, labels),
        pictures,
        trials,
    };
    page.render()
        .map_err(|error| PlotError::Template(error.to_string()))
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    environment: &'a Environment,
    command: String,
    experiment: &'a str,
    valid: usize,
    invalid: usize,
    findings: Vec<String>,
    rows: Vec<Row>,
    expectations: Vec<Expected>,
    reasons: Vec<(String, String)>,
    pictures: Vec<Picture>,
    trials: Vec<DrawnTrial>,
}

/// A line of the summary.
struct Row {
    /// Empty below the first line of a cell.
    cell: String,
    phase: String,
    errors: String,
    /// Throughput, p50, p99, p99.9, throughput and p99 against the baseline.
    numbers: [Number; 6],
}

/// A number, and below it how far it spreads.
#[derive(Default)]
struct Number {
    value: String,
    spread: String,
}

fn rows(analysis: &Analysis, labels: &[CellLabel]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (cell, label) in analysis.cells.iter().zip(labels) {
        let shown = [Phase::Baseline, Phase::Fault, Phase::Recovery];
        for (index, phase) in shown
            .into_iter()
            .filter_map(|phase| cell.phase(phase))
            .enumerate()
        {
            let name = if index == 0 {
                label.line()
            } else {
                String::new()
            };
            rows.push(row(name, phase));
        }
        rows.extend(cell.tolerance.map(windows));
    }
    rows
}

/// Windows with the faults against those without.
fn windows(tolerance: Tolerance) -> Row {
    let ratio = |ratio: Option<Ratio>| ratio.map(of_ratio).unwrap_or_default();
    let [rps, p50, p99, p999] = std::array::from_fn(|_| Number::default());
    Row {
        cell: String::new(),
        phase: format!("{} pairs of windows", tolerance.pairs),
        errors: String::new(),
        numbers: [
            rps,
            p50,
            p99,
            p999,
            ratio(tolerance.rps),
            ratio(tolerance.p99),
        ],
    }
}

fn row(cell: String, phase: &CellPhase) -> Row {
    let latency = |spread: Option<Spread>| {
        spread.map_or_else(Number::none, |spread| of_spread(spread, significant))
    };
    let ratio = |ratio: Option<Ratio>| ratio.map(of_ratio).unwrap_or_default();
    Row {
        cell,
        phase: phase.phase.to_string(),
        errors: thousands(phase.errors as f64),
        numbers: [
            of_spread(phase.rps, thousands),
            latency(phase.p50),
            latency(phase.p99),
            latency(phase.p999),
            ratio(phase.rps_ratio),
            ratio(phase.p99_ratio),
        ],
    }
}

impl Number {
    /// Nothing succeeded.
    fn none() -> Number {
        Number {
            value: "–".to_owned(),
            spread: String::new(),
        }
    }
}

fn of_spread(spread: Spread, show: fn(f64) -> String) -> Number {
    let several = spread.count > 1;
    Number {
        value: show(spread.median),
        spread: if several {
            format!("{}–{}", show(spread.min), show(spread.max))
        } else {
            String::new()
        },
    }
}

fn of_ratio(ratio: Ratio) -> Number {
    let interval = ratio
        .interval
        .map(|(low, high)| format!("[{low:.2}, {high:.2}]"));
    Number {
        value: format!("{:.2}×", ratio.median),
        spread: interval.unwrap_or_default(),
    }
}

/// What was expected of a cell, and what came of it.
struct Expected {
    cell: String,
    expectation: String,
    found: Number,
    judgement: Judgement,
}

fn expectations(analysis: &Analysis, labels: &[CellLabel]) -> Vec<Expected> {
    let cells = analysis.cells.iter().zip(labels);
    cells
        .flat_map(|(cell, label)| {
            cell.judged.iter().map(|judged| Expected {
                cell: label.line(),
                expectation: judged.expectation.to_string(),
                found: judged.ratio.map_or_else(Number::none, of_ratio),
                judgement: judged.judgement,
            })
        })
        .collect()
}

impl Expected {
    fn word(&self) -> &'static str {
        match self.judgement {
            Judgement::Inside => "holds",
            Judgement::Outside => "broken",
            Judgement::Inconclusive => "inconclusive",
        }
    }

    fn class(&self) -> &'static str {
        match self.judgement {
            Judgement::Inside => "good",
            Judgement::Outside => "bad",
            Judgement::Inconclusive => "muted",
        }
    }
}

fn reasons(analysis: &Analysis, labels: &[CellLabel]) -> Vec<(String, String)> {
    let cells = analysis.cells.iter().zip(labels);
    cells
        .flat_map(|(cell, label)| {
            let name = move |trials: String| format!("{}, {trials}", label.line());
            let reasons = cell.invalid_by_reason().into_iter();
            let histories = cell
                .doubtful_histories()
                .map(|(trial, verdict)| (format!("trial {trial}"), format!("history {verdict}")));
            reasons
                .chain(histories)
                .map(move |(trials, reason)| (name(trials), reason))
        })
        .collect()
}

/// How exact times of a node are.
fn clock(clock: &Option<NodeClock>) -> String {
    clock.map_or_else(
        || "the controller's".to_owned(),
        |clock| {
            let millis = |nanos: f64| nanos / 1e6;
            format!(
                "{:+.3} ms, ±{:.3} ms",
                millis(clock.offset_ns as f64),
                millis(clock.error_ns as f64)
            )
        },
    )
}

fn gibibytes(bytes: &u64) -> String {
    format!("{:.1} GiB", *bytes as f64 / f64::from(1 << 30))
}
