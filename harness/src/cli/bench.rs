use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use faults::FaultType;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use targets::{Durability, TargetSpec};
use vocab::ids::Role;
use vocab::problem::{FieldPath, Problem};
use vocab::time::Wall;
use vocab::units::{Share, Span};
use workloads::compare::{Comparison, ComparisonPlan, compare_with_redis_benchmark};

use super::{CliError, Exit, heal, output};
use crate::bench::tolerance::{Bounds, Tolerances};
use crate::{bench, run};

/// Measures speed, and prints it as ratios.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  depbench bench targets --target depfast-raft --target etcd
  depbench bench tolerance
  depbench bench load --connections 64 --pipeline 16")]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Targets(Targets),
    Tolerance(Tolerance),
    Faults(Faults),
    Load(Load),
}

/// Systems against each other, in turn under the same load on the same cores: peak throughput, and p99 at equal rate.
///
/// No CPU budgets, no disks of their own, no faults; servers on one half of the CPUs, the load on the other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  depbench bench targets --target depfast-raft --target etcd --rounds 3
  depbench bench targets --target depfast-raft --target etcd --servers 5 --clients 512 --connections 16
  depbench bench targets --target depfast-copilot --target depfast-raft --durability memory")]
struct Targets {
    /// The systems; the first is compared with each of the others.
    #[arg(long = "target", value_name = "NAME", default_values = ["depfast-raft", "etcd"], value_parser = target)]
    targets: Vec<String>,
    /// Servers of each system.
    #[arg(long, default_value = "3")]
    servers: NonZeroU32,
    /// What an acknowledged write has survived: `fsync` (on disk on a quorum) or `memory` (of a quorum).
    #[arg(long, default_value = "fsync", value_parser = durability)]
    durability: Durability,
    /// Lets servers and load use every CPU.
    #[arg(long)]
    unpinned: bool,
    /// Sizes of the closed loop that looks for the peak.
    #[arg(long, value_delimiter = ',', default_value = "64,256,512")]
    clients: Vec<NonZeroU32>,
    /// Connections that the clients share.
    #[arg(long, default_value = "64")]
    connections: NonZeroU32,
    /// How often each point is measured.
    #[arg(long, default_value = "3")]
    rounds: NonZeroU32,
    /// How long one measurement takes.
    #[arg(long = "for", default_value = "8s")]
    length: Span,
    /// Where the runs go; a new directory below `runs` otherwise.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// How much of each fault on one server reaches the clients, in windows with and without it at 70 % of the peak.
///
/// Prints the ratios of throughput and p99 with their 95 % intervals, and whether they are inside the bounds, outside, or
/// inconclusive.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  depbench bench tolerance
  depbench bench tolerance --fault cpu.quota=5% --fault net.delay=40ms --target etcd
  depbench bench tolerance --target depfast-copilot --role pilot --least-throughput 90% --most-p99 2")]
struct Tolerance {
    /// The systems.
    #[arg(long = "target", value_name = "NAME", default_values = ["depfast-raft"], value_parser = target)]
    targets: Vec<String>,
    /// The faults, spelt as for `inject`; those of the papers that this machine can inject if none is given.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<FaultType>,
    /// Whose server becomes slow: `follower`, `leader`, `pilot` or `copilot`, as far as the system has it.
    #[arg(long, default_value = "follower", value_parser = role)]
    role: Role,
    /// Servers of each system.
    #[arg(long, default_value = "3")]
    servers: NonZeroU32,
    /// Throughput is inside from this share of that without the fault.
    #[arg(long, value_name = "SHARE", default_value = "95%")]
    least_throughput: Share,
    /// p99 is inside up to so many times that without the fault.
    #[arg(long, value_name = "RATIO", default_value = "1.1")]
    most_p99: f64,
    /// Pairs of windows for each fault.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(3..=1000))]
    windows: u32,
    /// How long each window takes, in whole seconds.
    #[arg(long, default_value = "5s")]
    window: Span,
    /// Where the runs go; a new directory below `runs` otherwise.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What was asked of each fault against what the node got, over a range of severities, and whether it is near enough.
///
/// On one node with half of the machine, by the faults' own probes; delays also while every CPU is busy. What other load
/// on the machine makes impossible to tell is said to be not measured. Ctrl-C undoes everything and prints what was measured
/// until then.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sudo depbench bench faults --csv fidelity.csv\n  sudo depbench bench faults --type net.delay"
)]
struct Faults {
    /// How long each severity is held, at least; what waits at the end of it counts as well.
    #[arg(long, default_value = "8s")]
    hold: Span,
    /// Only faults of this type; may be repeated.
    #[arg(long = "type", value_name = "TYPE", value_parser = fault_type)]
    types: Vec<String>,
    /// Where the numbers also go.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// The load generator against redis-benchmark, in turn on one redis-server with the same connections and cores.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench bench load --connections 64 --pipeline 16")]
struct Load {
    /// Connections.
    #[arg(long, default_value = "64")]
    connections: NonZeroU32,
    /// Requests in flight on each.
    #[arg(long, default_value = "1")]
    pipeline: NonZeroU32,
    /// How often each takes its turn.
    #[arg(long, default_value = "5")]
    rounds: NonZeroU32,
    /// How long one turn takes.
    #[arg(long = "for", default_value = "3s")]
    turn: Span,
}

impl Bench {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        heal::before_a_run();
        let (comparison, exit) = match self.what {
            What::Targets(targets) => (targets.compare()?.to_string(), Exit::Pass),
            What::Tolerance(tolerance) => (tolerance.measure()?.to_string(), Exit::Pass),
            What::Faults(faults) => faults.measure()?,
            What::Load(load) => (load.compare()?.to_string(), Exit::Pass),
        };
        output::print(&format!("{comparison}\n"))?;
        Ok(exit)
    }
}

impl Targets {
    fn compare(self) -> Result<bench::Comparison, CliError> {
        let out = out(self.out, "bench");
        let durable = |name: &String| durable(name, self.durability);
        let settings = bench::Settings {
            targets: self.targets.iter().map(durable).collect::<Result<_, _>>()?,
            servers: self.servers,
            pinned: !self.unpinned,
            clients: self.clients,
            connections: self.connections,
            rounds: self.rounds,
            length: self.length,
            out,
        };
        Ok(bench::compare(&settings, &run::this_program()?)?)
    }
}

impl Tolerance {
    fn measure(self) -> Result<Tolerances, CliError> {
        let settings = bench::tolerance::Settings {
            targets: self.targets,
            faults: self.faults,
            role: self.role,
            servers: self.servers,
            bounds: Bounds {
                least_throughput: self.least_throughput.fraction(),
                most_p99: self.most_p99,
            },
            windows: NonZeroU32::new(self.windows).expect("at least 3"),
            window: self.window,
            out: out(self.out, "tolerance"),
        };
        Ok(bench::tolerance::measure(&settings, &run::this_program()?)?)
    }
}

/// As the experiment file spells it.
fn durability(text: &str) -> Result<Durability, serde::de::value::Error> {
    Durability::deserialize(text.into_deserializer())
}

/// The system of that name, with writes as durable as asked.
fn durable(name: &str, durability: Durability) -> Result<TargetSpec, CliError> {
    TargetSpec::all()
        .into_iter()
        .find(|spec| spec.target().name() == name)
        .and_then(|spec| spec.with_durability(durability))
        .ok_or_else(|| {
            CliError::Option(Problem {
                at: FieldPath::root().key("durability"),
                message: format!("{name} has no durability `{durability}`"),
                help: Some("compare it with --durability fsync".to_owned()),
            })
        })
}

/// The directory asked for, or a new one below `runs`.
fn out(asked: Option<PathBuf>, bench: &str) -> PathBuf {
    asked.unwrap_or_else(|| Path::new("runs").join(format!("{bench}-{}", Wall::now().label())))
}

impl Faults {
    /// Also when it was interrupted, what was measured until then.
    fn measure(self) -> Result<(String, Exit), CliError> {
        let told = |line: &bench::fidelity::Line| output::print_error(&format!("{line}\n"));
        let settings = bench::fidelity::Settings {
            hold: self.hold,
            types: self.types.into_iter().collect(),
        };
        let fidelity = bench::fidelity::measure(&settings, told)?;
        if let Some(path) = &self.csv {
            std::fs::write(path, fidelity.csv()).map_err(|source| CliError::System {
                what: format!("write {}", path.display()),
                source,
            })?;
        }
        let exit = match fidelity.is_partial() {
            true => Exit::Interrupted,
            false => Exit::Pass,
        };
        Ok((fidelity.to_string(), exit))
    }
}

impl Load {
    fn compare(self) -> Result<Comparison, CliError> {
        Ok(compare_with_redis_benchmark(ComparisonPlan {
            connections: self.connections,
            pipeline: self.pipeline,
            rounds: self.rounds,
            turn: self.turn.duration(),
        })?)
    }
}

fn fault_type(name: &str) -> Result<String, String> {
    let names: Vec<&str> = faults::list().iter().map(|fault| fault.name).collect();
    one_of(name, &names)
}

fn target(name: &str) -> Result<String, String> {
    let names: Vec<&str> = TargetSpec::all()
        .iter()
        .map(|spec| spec.target().name())
        .collect();
    one_of(name, &names)
}

fn role(name: &str) -> Result<Role, String> {
    let roles = [Role::Leader, Role::Follower, Role::Pilot, Role::Copilot];
    let names = roles.map(|role| role.to_string());
    one_of(name, &names.each_ref().map(String::as_str))?;
    let role = roles.into_iter().find(|role| role.to_string() == name);
    role.ok_or_else(|| format!("{name} is no role of a server"))
}

fn one_of(name: &str, names: &[&str]) -> Result<String, String> {
    match names.contains(&name) {
        true => Ok(name.to_owned()),
        false => {
            let near = vocab::problem::nearest(name, names.iter().copied())
                .map(|near| format!("did you mean `{near}`? "))
                .unwrap_or_default();
            Err(format!("{near}expected one of {}", names.join(", ")))
        }
    }
}
