//! Servers to load, and the worker's reports as values.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test that asked for it"
)]

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use depbench_workloads::{
    DriverKind, LoadError, LoadJob, LoadReport, LoadTotals, PhaseCut, Workload, run_worker,
};
use history::Operation;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use results::{Interval, OpKind};
use vocab::ids::Phase;
use vocab::units::Span;

/// A program that ends with this value.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts `program` and waits until it listens at `address`; `None`, with the reason printed, when it is not
    /// installed.
    pub(crate) fn start(program: &str, args: &[String], address: SocketAddr) -> Option<Server> {
        let process = match Command::new(program)
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
        {
            Ok(process) => process,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("skipped: {program} is not installed");
                return None;
            }
            Err(error) => panic!("{program}: {error}"),
        };
        let server = Server { process, address };
        for _ in 0..400 {
            if TcpStream::connect(address).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("{program} does not listen at {address}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id() as i32), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that nobody listens at, nor at the port 10000 above (Redis' cluster bus, etcd's peers).
///
/// Below the ephemeral ports, so that no outgoing connection takes it; the tests of one process never get the same
/// one, those of another process most likely not.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id().wrapping_mul(97);
    for _ in 0..1000 {
        let place = process.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 9_000;
        let port = 21_000 + place as u16;
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        }
    }
    panic!("no free port");
}

pub(crate) fn job(driver: DriverKind, servers: &[SocketAddr], workload: Workload) -> LoadJob {
    LoadJob {
        hold: false,
        driver,
        servers: servers.to_vec(),
        workload,
        seed: 42,
        cuts: vec![
            PhaseCut {
                phase: Phase::Warmup,
                length: Span::millis(300),
            },
            PhaseCut {
                phase: Phase::Baseline,
                length: Span::millis(1200),
            },
        ],
    }
}

pub(crate) fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// A worker on a thread of its own.
pub(crate) struct Running {
    worker: JoinHandle<Result<(), LoadError>>,
    reports: Receiver<LoadReport>,
}

/// What a worker reported, in its order.
#[derive(Debug)]
pub(crate) struct Reported(pub(crate) Vec<LoadReport>);

impl Running {
    pub(crate) fn start(job: LoadJob) -> Running {
        let (lines, reports) = channel();
        let worker = std::thread::spawn(move || run_worker(&job, Lines(lines)));
        Running { worker, reports }
    }

    /// Waits until the load has started.
    pub(crate) fn wait_for_start(&self) -> Vec<LoadReport> {
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(LoadReport::Started { .. })) {
            seen.push(self.reports.recv_timeout(Duration::from_secs(20)).unwrap());
        }
        seen
    }

    pub(crate) fn finish(self) -> (Result<(), LoadError>, Reported) {
        let result = self.worker.join().unwrap();
        (result, Reported(self.reports.iter().collect()))
    }
}

pub(crate) fn run(job: LoadJob) -> Reported {
    let (result, reported) = Running::start(job).finish();
    result.unwrap();
    reported
}

impl Reported {
    pub(crate) fn intervals(&self) -> Vec<&Interval> {
        self.0
            .iter()
            .filter_map(|report| match report {
                LoadReport::Interval(interval) => Some(interval),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let operation = |report: &LoadReport| match report {
            LoadReport::Operation(operation) => Some(*operation),
            _ => None,
        };
        self.0.iter().filter_map(operation).collect()
    }

    pub(crate) fn totals(&self) -> &LoadTotals {
        match self.0.last() {
            Some(LoadReport::Done(totals)) => totals,
            other => panic!("the last report is {other:?}"),
        }
    }

    /// The totals agree with the intervals, and latencies are only those of successes.
    pub(crate) fn assert_consistent(&self) {
        let intervals = self.intervals();
        let totals = self.totals();
        let sum = |of: fn(&Interval) -> u64| intervals.iter().map(|one| of(one)).sum::<u64>();
        assert_eq!(sum(|one| one.ok), totals.ok);
        assert_eq!(
            sum(Interval::error_count),
            totals.errors.values().sum::<u64>()
        );
        assert_eq!(sum(|one| one.late), totals.late);
        assert_eq!(sum(|one| one.dropped), totals.dropped);
        for interval in intervals {
            assert_eq!(interval.latency.count(), interval.ok);
        }
    }

    /// Phase, start and length in milliseconds of the intervals of `op`.
    pub(crate) fn cuts(&self, op: OpKind) -> Vec<(Phase, i64, u128)> {
        self.intervals()
            .iter()
            .filter(|one| one.op == op)
            .map(|one| {
                let start = one.start.nanos() / 1_000_000;
                (one.phase, start, one.length.duration().as_millis())
            })
            .collect()
    }
}

struct Lines(Sender<LoadReport>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let report = serde_json::from_slice(line).expect("one report with each write");
        self.0.send(report).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
