//! Whether the worker is fast enough to measure with: redis-benchmark and the worker take turns on the same server,
//! with the same connections, on the same CPUs.

mod redis_server;

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use vocab::ids::Phase;
use vocab::units::Span;

use crate::job::{DriverKind, LoadJob, PhaseCut};
use crate::report::LoadReport;
use crate::spec::Workload;
use crate::worker::{LoadError, run_worker};
use redis_server::RedisServer;

/// Server and load generator each have a CPU of their own.
const SERVER_CPU: usize = 0;
const LOAD_CPU: usize = 1;

/// What to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComparisonPlan {
    /// Connections (`redis-benchmark -c`).
    pub connections: NonZeroU32,
    /// Requests in flight on each (`redis-benchmark -P`).
    pub pipeline: NonZeroU32,
    /// How often each takes its turn.
    pub rounds: NonZeroU32,
    /// How long one turn of the worker is; redis-benchmark gets requests for about as long.
    pub turn: Duration,
}

/// Throughputs in requests a second, turn by turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was compared.
    pub plan: ComparisonPlan,
    /// Of the worker.
    pub worker: Vec<f64>,
    /// Of redis-benchmark.
    pub redis_benchmark: Vec<f64>,
}

impl Comparison {
    /// The worker's median throughput by that of redis-benchmark.
    pub fn ratio(&self) -> f64 {
        median(&self.worker) / median(&self.redis_benchmark)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[f64]| {
            let texts: Vec<_> = numbers.iter().map(|one| format!("{one:.0}")).collect();
            texts.join(" ")
        };
        let ComparisonPlan {
            connections,
            pipeline,
            ..
        } = self.plan;
        writeln!(
            f,
            "SET of 16 bytes, 100000 keys, {connections} connections, {pipeline} in flight on each; redis-server on \
             CPU {SERVER_CPU}, load on CPU {LOAD_CPU}; requests a second, turn by turn:"
        )?;
        writeln!(f, "  redis-benchmark  {}", list(&self.redis_benchmark))?;
        writeln!(f, "  load worker      {}", list(&self.worker))?;
        write!(f, "  ratio of medians {:.2}", self.ratio())
    }
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A program could not be started or did not do what it should.
    #[error(
        "{program}: {source}; both come with the package redis (Debian: redis-server, redis-tools)"
    )]
    Program {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There are no two CPUs to put server and load on.
    #[error("server and load need CPUs {SERVER_CPU} and {LOAD_CPU} for themselves: {0}")]
    Cpus(nix::errno::Errno),
    /// The worker failed.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Starts a redis-server of its own and has both load it in turn.
///
/// # Errors
/// When the programs are not installed, or the machine has only one CPU.
pub fn compare_with_redis_benchmark(plan: ComparisonPlan) -> Result<Comparison, CompareError> {
    let server =
        on_cpu(SERVER_CPU, RedisServer::start)?.map_err(|source| CompareError::Program {
            program: "redis-server",
            source,
        })?;
    let mut comparison = Comparison {
        plan,
        worker: Vec::new(),
        redis_benchmark: Vec::new(),
    };
    let address = server.address();
    let mut requests = 100_000;
    for _ in 0..plan.rounds.get() {
        let theirs = on_cpu(LOAD_CPU, || run_redis_benchmark(plan, address, requests))?;
        let theirs = theirs.map_err(|source| CompareError::Program {
            program: "redis-benchmark",
            source,
        })?;
        requests = (theirs * plan.turn.as_secs_f64()) as u64;
        comparison.redis_benchmark.push(theirs);
        let ours = on_cpu(LOAD_CPU, || run_ours(plan, address))??;
        comparison.worker.push(ours);
    }
    Ok(comparison)
}

/// Does `work` on a thread that, with all it starts, stays on `cpu`.
fn on_cpu<T: Send>(cpu: usize, work: impl FnOnce() -> T + Send) -> Result<T, CompareError> {
    std::thread::scope(|scope| {
        let pinned = scope.spawn(move || {
            let mut cpus = CpuSet::new();
            cpus.set(cpu).map_err(CompareError::Cpus)?;
            sched_setaffinity(Pid::from_raw(0), &cpus).map_err(CompareError::Cpus)?;
            Ok(work())
        });
        pinned
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn run_redis_benchmark(plan: ComparisonPlan, server: SocketAddr, requests: u64) -> io::Result<f64> {
    let output = Command::new("redis-benchmark")
        .args(["-h", &server.ip().to_string()])
        .args(["-p", &server.port().to_string()])
        .args(["-c", &plan.connections.to_string()])
        .args(["-P", &plan.pipeline.to_string()])
        .args(["-n", &requests.to_string()])
        .args(["-t", "set", "-d", "16", "-r", "100000", "--csv"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("\"SET\""));
    line.and_then(|line| line.split(',').nth(1))
        .and_then(|rate| rate.trim_matches('"').parse().ok())
        .ok_or_else(|| {
            io::Error::other(format!(
                "printed no rate for SET but {text:?} {:?}",
                String::from_utf8_lossy(&output.stderr)
            ))
        })
}

fn run_ours(plan: ComparisonPlan, server: SocketAddr) -> Result<f64, LoadError> {
    let job = LoadJob {
        hold: false,
        driver: DriverKind::Resp,
        servers: vec![server],
        workload: Workload {
            clients: plan.connections.saturating_mul(plan.pipeline),
            connections: plan.connections,
            ..Workload::default()
        },
        seed: 1,
        cuts: vec![
            PhaseCut {
                phase: Phase::Warmup,
                length: Span::millis(300),
            },
            PhaseCut {
                phase: Phase::Baseline,
                length: plan.turn.into(),
            },
        ],
    };
    let (lines, reports) = channel();
    run_worker(&job, Lines(lines))?;
    let ok: u64 = reports
        .iter()
        .filter_map(|line| match serde_json::from_slice(&line) {
            Ok(LoadReport::Interval(interval)) if interval.phase == Phase::Baseline => {
                Some(interval.ok)
            }
            _ => None,
        })
        .sum();
    Ok(ok as f64 / plan.turn.as_secs_f64())
}

/// Takes what a worker writes: one report with each write.
struct Lines(Sender<Vec<u8>>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0
            .send(line.to_vec())
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}
