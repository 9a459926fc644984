//! How much of a fault on a minority reaches the clients: paired windows with and without it, at a rate that the system
//! carries easily when nothing is wrong.

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use faults::{Availability, FaultType, available};
use results::stats::{Bound, CellAnalysis, Ratio};
use results::table;
use vocab::ids::{Phase, Role, RunName};
use vocab::time::Wall;
use vocab::units::Span;

use super::run_experiment;
use crate::cluster::{Cluster, ClusterError, Settings as ClusterSettings};
use crate::experiment;
use crate::run::RunError;
use crate::runtime;

/// The share of the system's own peak that is offered.
const OFFERED: f64 = 0.7;

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
    /// What it does at most of what is offered at a rate, per second.
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
        let closed = throughput(&settings.peak_file(target), &dir("closed"), program)?;
        // A closed loop batches by itself; arrivals of their own time do not, and cost more.
        let overload = settings.overload_file(target, closed);
        let peak = throughput(&overload, &dir("open"), program)?;
        let offered = (peak * OFFERED).floor().max(1.0);
        let mut lines = Vec::new();
        if !faults.is_empty() {
            let dir = settings.out.join(target);
            let spelt: Vec<String> = faults.iter().map(spelt).collect();
            let file = settings.file(target, offered, &spelt);
            let analysis = run_experiment(&file, &dir, program)?;
            lines = analysis
                .cells
                .iter()
                .zip(&faults)
                .map(|(cell, fault)| Line::of(cell, fault))
                .collect();
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

/// The highest throughput of an experiment without faults, per second.
fn throughput(file: &str, dir: &Path, program: &Path) -> Result<f64, RunError> {
    let analysis = run_experiment(file, dir, program)?;
    let cells = analysis.cells.iter();
    let highest = cells
        .filter_map(|cell| Some(cell.phase(Phase::Baseline)?.rps.median))
        .fold(0.0, f64::max);
    if highest <= 0.0 {
        let page = dir.join("report.html");
        return Err(RunError::Incomparable { page });
    }
    Ok(highest)
}

impl Line {
    fn of(cell: &CellAnalysis, fault: &FaultType) -> Line {
        let reasons = cell.invalid_by_reason();
        let ratios = match (cell.tolerance, reasons.first()) {
            (Some(tolerance), _) => Ok((tolerance.rps, tolerance.p99)),
            (None, Some((_, reason))) => Err(reason.clone()),
            (None, None) => Err("no window was measured".to_owned()),
        };
        Line {
            fault: fault.to_string(),
            ratios,
        }
    }
}

/// Those that a cluster of this machine can inject, and why not the others.
fn possible(settings: &Settings) -> Result<(Vec<FaultType>, Vec<String>), RunError> {
    let asked: Vec<FaultType> = match settings.faults.as_slice() {
        [] => of_the_papers(),
        asked => asked.to_vec(),
    };
    let peak = experiment::from_text("(tolerance)", settings.peak_file("depfast-raft"))?;
    let spec = peak.spec.cluster;
    let (facts, wiring) = runtime::block_on(async {
        let run: RunName = format!("tolerance-{}", Wall::now().label())
            .parse()
            .expect("a time is part of a name");
        let cluster = Cluster::up(&spec, ClusterSettings::new(run)?, |_| {}).await?;
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

/// JSON is YAML, on one line.
fn spelt(kind: &FaultType) -> String {
    serde_json::to_string(kind).expect("a fault can be written")
}

impl Settings {
    /// The nodes: each with a CPU budget and a disk of its own, so that a fault on one hurts that one alone.
    fn cluster(&self) -> String {
        format!("{{local: {{servers: {}, clients: 1}}}}", self.servers)
    }

    fn peak_file(&self, target: &str) -> String {
        format!(
            "name: tolerance-peak\n\
             cluster: {}\n\
             targets: [{{{target}: {{}}}}]\n\
             workload: {{clients: 64, connections: 16}}\n\
             phases: {{warmup: 3s, baseline: 5s}}\n\
             sweep: {{workload.clients: [64, 256]}}\n",
            self.cluster()
        )
    }

    /// More than the system carries: what it does of that is the most it can do at a rate.
    fn overload_file(&self, target: &str, rate: f64) -> String {
        format!(
            "name: tolerance-overload\n\
             cluster: {}\n\
             targets: [{{{target}: {{}}}}]\n\
             workload: {{clients: 256, connections: 16, mode: {{open: {{rate: {}/s, arrivals: poisson}}}}}}\n\
             phases: {{warmup: 3s, baseline: 5s}}\n",
            self.cluster(),
            rate.floor().max(1.0)
        )
    }

    fn file(&self, target: &str, offered: f64, faults: &[String]) -> String {
        let sweep = match faults {
            // A sweep has at least two values.
            [_] => String::new(),
            faults => format!("sweep: {{faults.slow.type: [{}]}}\n", faults.join(", ")),
        };
        format!(
            "name: tolerance\n\
             cluster: {}\n\
             targets: [{{{target}: {{}}}}]\n\
             workload: {{clients: 256, connections: 16, mode: {{open: {{rate: {offered}/s, arrivals: poisson}}}}}}\n\
             phases: {{warmup: 3s, baseline: 5s, paired: {{windows: {}, on: {}, off: {}}}, recovery: 3s}}\n\
             faults: [{{name: slow, type: {}, on: {{role: {}}}}}]\n\
             {sweep}",
            self.cluster(),
            self.windows,
            self.window,
            self.window,
            faults[0],
            self.role
        )
    }
}

impl fmt::Display for Tolerances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = self.settings.bounds;
        writeln!(
            f,
            "each fault on one {} of {} servers, in windows with and without it; the bound: throughput at least {:.0} %, \
             p99 at most {:.0} % of fault-free, by the bootstrap's 95 % interval",
            self.settings.role,
            self.settings.servers,
            bounds.least_throughput * 100.0,
            bounds.most_p99 * 100.0
        )?;
        for system in &self.systems {
            writeln!(
                f,
                "\n{}: offered {}/s of a peak of {}/s",
                system.name,
                table::thousands(system.offered),
                table::thousands(system.peak)
            )?;
            for line in &system.faults {
                line.show(bounds, f)?;
            }
        }
        for reason in &self.left_out {
            writeln!(f, "left out: {reason}")?;
        }
        write!(f, "runs: {}", self.settings.out.display())
    }
}

impl Line {
    fn show(&self, bounds: Bounds, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |ratio: Option<Ratio>| {
            let Some(ratio) = ratio else {
                return "-".to_owned();
            };
            let interval = ratio
                .interval
                .map(|(low, high)| format!(" [{low:.3}, {high:.3}]"))
                .unwrap_or_default();
            format!("{:.3}{interval}", ratio.median)
        };
        match &self.ratios {
            Ok((rps, p99)) => writeln!(
                f,
                "  {:<44} throughput {:<22} {:<13} p99 {:<22} {}",
                self.fault,
                show(*rps),
                bounds.throughput().judge(*rps),
                show(*p99),
                bounds.p99().judge(*p99)
            ),
            Err(reason) => writeln!(f, "  {:<44} inconclusive: {reason}", self.fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_experiments_are_right() {
        let faults: Vec<String> = of_the_papers().iter().map(spelt).collect();
        for (target, role, servers) in [
            ("depfast-raft", Role::Follower, 3),
            ("depfast-copilot", Role::Pilot, 5),
        ] {
            let settings = Settings {
                targets: vec![target.to_owned()],
                faults: Vec::new(),
                role,
                servers: NonZeroU32::new(servers).expect("not 0"),
                bounds: Bounds {
                    least_throughput: 0.9,
                    most_p99: 2.0,
                },
                windows: NonZeroU32::new(10).expect("10 is not 0"),
                window: Span::seconds(5),
                out: PathBuf::new(),
            };
            let overload = settings.overload_file(target, 200_000.5);
            experiment::from_text("(overload)", overload).unwrap_or_else(|error| panic!("{error}"));
            for faults in [&faults[..1], &faults[..]] {
                let text = settings.file(target, 5000.0, faults);
                let experiment = experiment::from_text("(tolerance)", text)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(experiment.cells.len(), faults.len());
            }
            experiment::from_text("(peak)", settings.peak_file("etcd"))
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
