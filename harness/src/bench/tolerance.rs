//! How much of a fault on a minority reaches the clients: paired windows with and without it, at a rate that the system
//! carries easily when nothing is wrong.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use faults::{Availability, FaultType, available};
use results::stats::{Analysis, Bound, CellAnalysis, Ratio};
use results::{RunDir, TrialDir};
use vocab::ids::{Phase, Role};
use vocab::units::Span;

use self::budget::{Budget, budgets};
use self::experiments::spelt;
use super::run_experiment;
use crate::cluster::{Cluster, ClusterError, Settings as ClusterSettings, run_of};
use crate::experiment;
use crate::run::RunError;
use crate::runtime;

mod budget;
mod experiments;
mod table;

/// The share of the system's own peak that is offered.
const OFFERED: f64 = 0.7;

/// Rates between which the peak is looked for, as parts of what a closed loop reaches.
const RATES: [f64; 10] = [0.1, 0.13, 0.17, 0.22, 0.29, 0.38, 0.49, 0.64, 0.83, 1.0];

/// A rate is carried as long as p99 stays below this multiple of the least at any rate. Beyond it a queue decides, and a
/// system at the limit of its CPU is slow without any fault.
const MOST_P99: f64 = 2.0;

/// A rate is carried as long as this share of it is answered.
const LEAST_ANSWERED: f64 = 0.99;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names of targets, as in the experiment file.
    pub targets: Vec<String>,
    /// Faults; those of the papers if there are none.
    pub faults: Vec<FaultType>,
    /// Whose node becomes slow.
    pub role: Role,
    /// Servers of each system.
    pub servers: NonZeroU32,
    /// What is tolerable.
    pub bounds: Bounds,
    /// Pairs of windows for each fault.
    pub windows: NonZeroU32,
    /// How long each window takes.
    pub window: Span,
    /// The directory of all runs.
    pub out: PathBuf,
}

/// What is tolerable: values with the fault over values without.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Throughput is at least this share.
    pub least_throughput: f64,
    /// p99 is at most this multiple.
    pub most_p99: f64,
}

impl Bounds {
    fn throughput(self) -> Bound {
        Bound::AtLeast(self.least_throughput)
    }

    fn p99(self) -> Bound {
        Bound::AtMost(self.most_p99)
    }
}

/// What was found.
#[derive(Debug)]
pub struct Tolerances {
    /// What was asked.
    pub settings: Settings,
    /// Per target, in the order asked for.
    pub systems: Vec<System>,
    /// Faults that this machine cannot inject, and why.
    pub left_out: Vec<String>,
}

/// What one system made of the faults.
#[derive(Debug)]
pub struct System {
    /// Its name.
    pub name: String,
    /// The highest rate that it carries, per second, of those that were tried.
    pub peak: f64,
    /// What was offered, per second.
    pub offered: f64,
    /// Each fault.
    pub faults: Vec<Line>,
}

/// One fault on one system.
#[derive(Debug)]
pub struct Line {
    /// The fault.
    pub fault: String,
    /// Throughput and p99, faulty over fault-free; or why there are no numbers.
    pub ratios: Result<(Option<Ratio>, Option<Ratio>), String>,
    /// What its windows made of the servers' CPU budgets.
    pub budgets: Vec<Budget>,
}

/// Measures every fault on every system.
///
/// # Errors
/// As for any run. Trials that are invalid are told in their line.
pub fn measure(settings: &Settings, program: &Path) -> Result<Tolerances, RunError> {
    let (faults, left_out) = possible(settings)?;
    let mut systems = Vec::new();
    for target in &settings.targets {
        let dir = |what: &str| settings.out.join(format!("{target}-{what}"));
        let closed = analysis(&settings.closed_file(target), &dir("closed"), program)?;
        let most = cells(&closed).map(|(rps, _)| rps).fold(0.0, f64::max);
        // A closed loop batches by itself; arrivals of their own time do not, and cost more.
        let open = dir("open");
        let found = analysis(&settings.rates_file(target, most), &open, program)?;
        let peak = carried(most, cells(&found)).ok_or_else(|| incomparable(&open))?;
        let offered = (peak * OFFERED).floor().max(1.0);
        let mut lines = Vec::new();
        if !faults.is_empty() {
            let dir = settings.out.join(target);
            let spelt: Vec<String> = faults.iter().map(spelt).collect();
            let file = settings.file(target, offered, &spelt);
            let analysis = run_experiment(&file, &dir, program)?;
            // A cell is one trial here, and both are in the order of the faults.
            let trials = RunDir::open(&dir)?.trials()?;
            for (cell, fault) in analysis.cells.iter().zip(&faults) {
                let of_cell = |trial: &&TrialDir| trial.record().setup.id.cell == cell.id;
                let trial = trials.iter().find(of_cell);
                let budgets = trial.map(budgets).transpose()?.unwrap_or_default();
                lines.push(Line::of(cell, fault, budgets));
            }
        }
        systems.push(System {
            name: target.clone(),
            peak,
            offered,
            faults: lines,
        });
    }
    Ok(Tolerances {
        settings: settings.clone(),
        systems,
        left_out,
    })
}

/// An experiment without faults, all of whose cells have a number.
fn analysis(file: &str, dir: &Path, program: &Path) -> Result<Analysis, RunError> {
    let analysis = run_experiment(file, dir, program)?;
    if cells(&analysis).count() < analysis.cells.len() {
        return Err(incomparable(dir));
    }
    Ok(analysis)
}

fn incomparable(dir: &Path) -> RunError {
    let page = dir.join("report.html");
    RunError::Incomparable { page }
}

/// Throughput per second and p99 in milliseconds of each cell.
fn cells(analysis: &Analysis) -> impl Iterator<Item = (f64, f64)> {
    let phases = analysis
        .cells
        .iter()
        .filter_map(|cell| cell.phase(Phase::Baseline));
    phases.filter_map(|phase| Some((phase.rps.median, phase.p99?.median)))
}

/// The highest of [`RATES`] that is carried, which says the same of those below it, whatever else the machine did while
/// they were measured; none if none is.
fn carried(most: f64, found: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let found: Vec<_> = found.collect();
    let least_p99 = found.iter().map(|(_, p99)| *p99).fold(f64::MAX, f64::min);
    let rates = RATES.iter().map(|part| part * most);
    rates
        .zip(found)
        .rfind(|(rate, (rps, p99))| *rps >= rate * LEAST_ANSWERED && *p99 <= least_p99 * MOST_P99)
        .map(|(rate, _)| rate)
}

impl Line {
    fn of(cell: &CellAnalysis, fault: &FaultType, budgets: Vec<Budget>) -> Line {
        let reasons = cell.invalid_by_reason();
        let ratios = match (cell.tolerance, reasons.first()) {
            (Some(tolerance), _) => Ok((tolerance.rps, tolerance.p99)),
            (None, Some((_, reason))) => Err(reason.clone()),
            (None, None) => Err("no window was measured".to_owned()),
        };
        Line {
            fault: fault.to_string(),
            ratios,
            budgets,
        }
    }
}

/// Those that a cluster of this machine can inject, and why not the others.
fn possible(settings: &Settings) -> Result<(Vec<FaultType>, Vec<String>), RunError> {
    let asked: Vec<FaultType> = match settings.faults.as_slice() {
        [] => of_the_papers(),
        asked => asked.to_vec(),
    };
    let peak = experiment::from_text("(tolerance)", settings.closed_file("depfast-raft"))?;
    let spec = peak.spec.cluster;
    let (facts, wiring) = runtime::block_on(async {
        let settings = ClusterSettings::new(run_of("tolerance"))?;
        let cluster = Cluster::up(&spec, settings, |_| {}).await?;
        let server = cluster.servers().next().expect("it has three");
        let facts = cluster.facts(server).await;
        let wiring = cluster.wiring();
        cluster.down().await?;
        Ok::<_, RunError>((facts.map_err(ClusterError::from)?, wiring))
    })??;
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for kind in asked {
        match available(&kind, &facts, wiring) {
            Availability::Yes { .. } => can.push(kind),
            no @ Availability::No { .. } => cannot.push(format!("{kind}: {no}")),
        }
    }
    Ok((can, cannot))
}

/// Each once, however many papers use it.
fn of_the_papers() -> Vec<FaultType> {
    let mut found: Vec<FaultType> = Vec::new();
    for preset in faults::presets::PRESETS {
        let kind = preset.fault();
        if !found.contains(&kind) {
            found.push(kind);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_where_the_queue_begins() {
        let found = |all: &[(f64, f64)]| carried(1000.0, all.iter().copied());
        assert_eq!(
            found(&[(100.0, 4.0), (130.0, 7.9), (170.0, 8.1), (220.0, 9.0)]),
            Some(130.0)
        );
        // What a neighbour of this machine did in between says nothing about the system.
        assert_eq!(
            found(&[(100.0, 9.0), (130.0, 40.0), (170.0, 5.0), (220.0, 20.0)]),
            Some(170.0)
        );
        assert_eq!(found(&[(100.0, 4.0), (120.0, 4.0)]), Some(100.0));
        assert_eq!(found(&[(90.0, 4.0)]), None);
    }
}
