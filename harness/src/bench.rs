//! Comparisons that print their ratio: systems against each other under the same load, on the same cores.
//!
//! A comparison of systems is two experiments like any other, made from the settings of the command line, so that all
//! it measured lies in two run directories: first closed loops of growing size find each system's peak, then an open
//! loop offers all systems the same constant rate, which the slowest can carry.

pub mod fidelity;
pub mod tolerance;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use results::stats::{Analysis, CellAnalysis};
use results::{RunDir, table};
use targets::TargetSpec;
use vocab::ids::Phase;
use vocab::units::Span;

use crate::experiment;
use crate::run::{self, Afterwards, Options, Output, RunError, Source};

/// The share of the slowest system's peak that is offered to all.
const OFFERED: f64 = 0.6;

/// What to compare, and under which load.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The first is compared with each of the others.
    pub targets: Vec<TargetSpec>,
    /// Servers of each.
    pub servers: NonZeroU32,
    /// Whether servers and load keep to CPUs of their own.
    pub pinned: bool,
    /// Sizes of the closed loop.
    pub clients: Vec<NonZeroU32>,
    /// Connections they share.
    pub connections: NonZeroU32,
    /// How often each point is measured.
    pub rounds: NonZeroU32,
    /// How long one measurement takes.
    pub length: Span,
    /// The directory of the two runs.
    pub out: PathBuf,
}

/// What the systems did.
#[derive(Debug)]
pub struct Comparison {
    /// In the order asked for.
    pub systems: Vec<System>,
    /// What the open loop offered, per second.
    pub offered: f64,
    /// Where the runs lie.
    pub runs: [PathBuf; 2],
    /// What every number was measured with.
    pub conditions: String,
}

/// What one system did.
#[derive(Debug)]
pub struct System {
    /// Its name.
    pub name: String,
    /// Clients, median requests per second, median p99 in milliseconds.
    pub closed: Vec<(u32, f64, f64)>,
    /// Median p50 and p99 in milliseconds at the rate offered to all.
    pub open: Option<(f64, f64)>,
}

impl System {
    /// The highest throughput of any size of the closed loop, per second.
    pub fn peak(&self) -> f64 {
        self.closed
            .iter()
            .map(|(_, rps, _)| *rps)
            .fold(0.0, f64::max)
    }
}

/// Measures the systems in turn.
///
/// # Errors
/// As for any run.
pub fn compare(settings: &Settings, program: &Path) -> Result<Comparison, RunError> {
    let sizes: Vec<String> = settings.clients.iter().map(ToString::to_string).collect();
    let closed_dir = settings.out.join("closed");
    let closed = measure(
        &settings.file(
            "bench-closed",
            "{closed: {}}",
            &format!("sweep: {{workload.clients: [{}]}}", sizes.join(", ")),
        ),
        &closed_dir,
        program,
    )?;
    let mut systems: Vec<System> = settings
        .targets
        .iter()
        .map(|target| {
            let name = target.target().name();
            System {
                name: name.to_owned(),
                closed: points(&closed, name),
                open: None,
            }
        })
        .collect();
    let slowest = systems
        .iter()
        .map(System::peak)
        .fold(f64::INFINITY, f64::min);
    let offered = (slowest * OFFERED).floor().max(1.0);
    let open_dir = settings.out.join("open");
    let mode = format!("{{open: {{rate: {offered}/s, arrivals: constant}}}}");
    let open = measure(&settings.file("bench-open", &mode, ""), &open_dir, program)?;
    for system in &mut systems {
        system.open = cells(&open, &system.name).find_map(latencies);
    }
    let dir = RunDir::open(&closed_dir)?;
    Ok(Comparison {
        systems,
        offered,
        conditions: conditions(&dir, settings),
        runs: [closed_dir, open_dir],
    })
}

impl Settings {
    fn file(&self, name: &str, mode: &str, rest: &str) -> String {
        let targets: Vec<String> = self
            .targets
            .iter()
            .map(|target| serde_json::to_string(target).expect("settings are plain data"))
            .collect();
        let largest = self
            .clients
            .iter()
            .max()
            .map_or(64, |clients| clients.get());
        format!(
            "name: {name}\n\
             cluster: {{local: {{servers: {}, clients: 1, mode: plain, budget: none, pin: {}, disk: shared}}}}\n\
             targets: [{}]\n\
             workload: {{clients: {largest}, connections: {}, write: 100%, value: 16B, mode: {mode}}}\n\
             phases: {{warmup: 3s, baseline: {}}}\n\
             trials: {}\n\
             {rest}\n",
            self.servers,
            if self.pinned { "split" } else { "none" },
            targets.join(", "),
            self.connections,
            self.length,
            self.rounds
        )
    }
}

fn measure(text: &str, dir: &Path, program: &Path) -> Result<Analysis, RunError> {
    let analysis = run_experiment(text, dir, program)?;
    let valid = |cell: &CellAnalysis| cell.invalid().is_empty();
    if !analysis.cells.iter().all(valid) {
        let page = dir.join("report.html");
        return Err(RunError::Incomparable { page });
    }
    Ok(analysis)
}

/// Runs an experiment made here; what its trials are worth is in the analysis.
fn run_experiment(text: &str, dir: &Path, program: &Path) -> Result<Analysis, RunError> {
    let experiment = experiment::from_text("(made by bench)", text.to_owned())?;
    run::run(&Options {
        format: BTreeSet::new(),
        source: Source::New {
            experiment: Box::new(experiment),
            dir: Some(dir.to_owned()),
        },
        program: program.to_owned(),
        output: Output::Live,
        afterwards: Afterwards::Down,
    })?;
    Ok(Analysis::of(&RunDir::open(dir)?)?)
}

fn cells<'a>(analysis: &'a Analysis, target: &'a str) -> impl Iterator<Item = &'a CellAnalysis> {
    analysis
        .cells
        .iter()
        .filter(move |cell| cell.target == target)
}

fn points(analysis: &Analysis, target: &str) -> Vec<(u32, f64, f64)> {
    let point = |cell: &CellAnalysis| {
        let clients = cell
            .parameters
            .get("workload.clients")?
            .as_str()?
            .parse()
            .ok()?;
        let baseline = cell.phase(Phase::Baseline)?;
        Some((clients, baseline.rps.median, baseline.p99?.median))
    };
    cells(analysis, target).filter_map(point).collect()
}

fn latencies(cell: &CellAnalysis) -> Option<(f64, f64)> {
    let baseline = cell.phase(Phase::Baseline)?;
    Some((baseline.p50?.median, baseline.p99?.median))
}

fn conditions(dir: &RunDir, settings: &Settings) -> String {
    let environment = dir.environment();
    let machine = environment
        .machines
        .first()
        .map_or_else(String::new, |machine| {
            format!(
                "{}, {} CPUs, {}",
                machine.processor, machine.cpus, machine.kernel
            )
        });
    let nodes: Vec<String> = environment
        .nodes
        .iter()
        .map(|node| {
            let cpus: Vec<String> = node.pinned_to.iter().map(ToString::to_string).collect();
            let cpus = if cpus.is_empty() {
                "any CPU".to_owned()
            } else {
                format!("CPU {}", cpus.join(","))
            };
            format!(
                "  {} on {cpus}, {}, {}",
                node.node,
                node.budget.as_deref().unwrap_or("no budget"),
                node.disk
            )
        })
        .collect();
    let versions: Vec<String> = environment
        .versions
        .iter()
        .map(|(name, version)| format!("  {name}: {version}"))
        .collect();
    format!(
        "{machine}\n{}\n{}\n  {} servers, 100% writes of 16 bytes, {} connections, {} rounds of {}\n",
        nodes.join("\n"),
        versions.join("\n"),
        settings.servers,
        settings.connections,
        settings.rounds,
        settings.length
    )
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.conditions)?;
        for system in &self.systems {
            writeln!(f, "{}", system.name)?;
            for (clients, rps, p99) in &system.closed {
                let (rps, p99) = (table::thousands(*rps), table::significant(*p99));
                writeln!(f, "  {clients:>6} clients {rps:>10}/s  p99 {p99:>7} ms")?;
            }
            if let Some((p50, p99)) = system.open {
                let (offered, p50, p99) = (
                    table::thousands(self.offered),
                    table::significant(p50),
                    table::significant(p99),
                );
                writeln!(f, "  offered {offered:>8}/s  p50 {p50} ms  p99 {p99} ms")?;
            }
        }
        let Some((first, others)) = self.systems.split_first() else {
            return Ok(());
        };
        for other in others {
            write!(
                f,
                "\n{} / {}: peak throughput {:.2}x",
                first.name,
                other.name,
                first.peak() / other.peak()
            )?;
            if let (Some((_, ours)), Some((_, theirs))) = (first.open, other.open) {
                write!(
                    f,
                    ", p99 at {}/s {:.2}x",
                    table::thousands(self.offered),
                    ours / theirs
                )?;
            }
        }
        write!(
            f,
            "\nruns: {}, {}",
            self.runs[0].display(),
            self.runs[1].display()
        )
    }
}
