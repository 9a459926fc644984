//! A load of which every operation is recorded, and what it says of the system.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use history::{Budget, Input, Operation, Output, Verdict, check};
use vocab::ids::Phase;
use vocab::time::Monotonic;
use vocab::units::{Share, Span};
use workloads::report::{LoadTotals, NoticeKind};
use workloads::{DriverKind, Keys, LoadError, LoadJob, LoadReport, PhaseCut, ReadBack, Workload};

/// All of them are watched.
pub const KEYS: u32 = 50;

pub fn job(driver: DriverKind, servers: Vec<SocketAddr>, length: Span) -> LoadJob {
    LoadJob {
        hold: false,
        driver,
        servers,
        workload: Workload {
            clients: 8.try_into().unwrap(),
            connections: 4.try_into().unwrap(),
            write: Share::from_fraction(0.6).unwrap(),
            keys: Keys::Uniform { count: KEYS.into() },
            sample_keys: KEYS,
            ..Workload::default()
        },
        seed: 7,
        cuts: vec![PhaseCut {
            phase: Phase::Baseline,
            length,
        }],
    }
}

pub fn start(job: LoadJob, out: &Path) -> JoinHandle<Result<(), LoadError>> {
    let out = File::create(out).unwrap();
    std::thread::spawn(move || workloads::run_worker(&job, out))
}

/// What a load that has ended saw.
pub struct Recorded {
    pub operations: Vec<Operation>,
    pub start: Monotonic,
    pub totals: LoadTotals,
}

impl Recorded {
    pub fn of(out: &Path) -> Recorded {
        let (mut operations, mut start, mut totals) = (Vec::new(), None, None);
        for line in fs::read_to_string(out).unwrap().lines() {
            match serde_json::from_str(line).unwrap() {
                LoadReport::Operation(operation) => operations.push(operation),
                LoadReport::Started { at, .. } => start = Some(at),
                LoadReport::Done(done) => totals = Some(done),
                LoadReport::Notice(notice) => {
                    assert_ne!(notice.kind, NoticeKind::ReadBackFailed, "{}", notice.detail);
                }
                LoadReport::Failed { message } => panic!("{message}"),
                _ => {}
            }
        }
        Recorded {
            operations,
            start: start.unwrap(),
            totals: totals.unwrap(),
        }
    }

    /// How many writes that began after a moment were acknowledged.
    pub fn acknowledged(&self, since: Monotonic) -> usize {
        let since = since.since(self.start).as_nanos() as i64;
        self.operations
            .iter()
            .filter(|one| matches!(one.input, Input::Write(_)) && one.output == Output::Ok)
            .filter(|one| one.invoked.nanos() >= since)
            .count()
    }

    /// Reads every key once more, each of which was written, and adds that to the operations.
    pub fn read_back(&mut self, driver: DriverKind, servers: &[SocketAddr], patience: Duration) {
        let kept = workloads::read_back(ReadBack {
            driver,
            servers,
            sample_keys: KEYS,
            start: self.start,
            patience,
        });
        let kept = kept.unwrap();
        assert!(
            kept.iter().all(|read| read.output != Output::Value(None)),
            "every key was written: {kept:?}"
        );
        self.operations.extend(kept);
    }

    pub fn assert_linearizable(&self) {
        match check(&self.operations, Budget::default()) {
            Verdict::Ok => {}
            Verdict::Violated(violation) => panic!("{violation}"),
            Verdict::Unknown { keys } => panic!("cannot tell for keys {keys:?}"),
        }
    }
}
