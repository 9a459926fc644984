//! Replicas of DepFast-Raft, started by hand: what they acknowledged survives kill -9 of the leader and of all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::runs::{Lab, Program};
use depbench::agent::clock;
use history::{Budget, Input, Operation, Output, Verdict, check};
use nix::sys::signal::Signal;
use targets::{DepfastRaft, Target};
use tokio::time::timeout;
use vocab::ids::{Phase, Role};
use vocab::time::Monotonic;
use vocab::units::{Share, Span};
use workloads::report::NoticeKind;
use workloads::{DriverKind, Keys, LoadError, LoadJob, LoadReport, PhaseCut, ReadBack, Workload};

/// All of them are watched.
const KEYS: u32 = 50;

/// A machine that does much else may take long to elect a leader.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three replicas, each with its directory, which survives it.
struct Group<'a> {
    lab: &'a Lab,
    members: Vec<(SocketAddr, SocketAddr)>,
    replicas: Vec<Option<Program>>,
    runtime: tokio::runtime::Runtime,
}

impl Group<'_> {
    fn start(lab: &Lab) -> Group<'_> {
        // Held together, so that no two are the same.
        let held: Vec<_> = (0..6)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses: Vec<SocketAddr> = held.iter().map(|one| one.local_addr().unwrap()).collect();
        drop(held);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let members = addresses.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        let mut group = Group {
            lab,
            members,
            replicas: (0..3).map(|_| None).collect(),
            runtime,
        };
        for index in 0..3 {
            group.start_replica(index);
        }
        group
    }

    fn start_replica(&mut self, index: usize) {
        let data = self.lab.path().join(format!("replica-{index}"));
        let mut arguments = vec![
            "serve".to_owned(),
            "raft".to_owned(),
            "--durability=fsync".to_owned(),
        ];
        arguments.push(format!("--id={}", index + 1));
        arguments.push(format!("--data={}", data.display()));
        for (id, (peer, client)) in (1..).zip(&self.members) {
            arguments.push(format!("--member={id}={peer},{client}"));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.replicas[index] = Some(self.lab.depbench(&arguments));
    }

    fn kill(&mut self, index: usize) {
        let replica = self.replicas[index].take().unwrap();
        replica.signal(Signal::SIGKILL);
        replica.end().expect_killed();
    }

    fn clients(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|(_, client)| *client).collect()
    }

    /// Who leads in the newest term, once one of those that run does.
    fn leader(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let target = DepfastRaft::default();
        loop {
            let mut leaders = Vec::new();
            for (index, (_, client)) in self.members.iter().enumerate() {
                let poll = async { timeout(Duration::from_secs(1), target.status(*client)).await };
                let status = self.runtime.block_on(poll);
                if let Ok(Ok(status)) = status
                    && status.role == Some(Role::Leader)
                {
                    leaders.push((status.term, index));
                }
            }
            if let Some((_, leader)) = leaders.into_iter().max() {
                return leader;
            }
            assert!(Instant::now() < deadline, "nobody leads");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A load whose every operation is recorded.
fn job(servers: Vec<SocketAddr>, length: Span, exactly_once: bool) -> LoadJob {
    LoadJob {
        hold: false,
        driver: DriverKind::Resp,
        servers,
        workload: Workload {
            clients: 8.try_into().unwrap(),
            connections: 4.try_into().unwrap(),
            write: Share::from_fraction(0.6).unwrap(),
            keys: Keys::Uniform { count: KEYS.into() },
            sample_keys: KEYS,
            exactly_once,
            ..Workload::default()
        },
        seed: 7,
        cuts: vec![PhaseCut {
            phase: Phase::Baseline,
            length,
        }],
    }
}

fn start(job: LoadJob, out: &Path) -> JoinHandle<Result<(), LoadError>> {
    let out = File::create(out).unwrap();
    std::thread::spawn(move || workloads::run_worker(&job, out))
}

/// What a load recorded, and when it started.
fn recorded(out: &Path) -> (Vec<Operation>, Monotonic) {
    let (mut operations, mut start) = (Vec::new(), None);
    for line in fs::read_to_string(out).unwrap().lines() {
        match serde_json::from_str(line).unwrap() {
            LoadReport::Operation(operation) => operations.push(operation),
            LoadReport::Started { at, .. } => start = Some(at),
            LoadReport::Notice(notice) => {
                assert_ne!(notice.kind, NoticeKind::ReadBackFailed, "{}", notice.detail);
            }
            LoadReport::Failed { message } => panic!("{message}"),
            _ => {}
        }
    }
    (operations, start.unwrap())
}

fn assert_linearizable(operations: &[Operation]) {
    match check(operations, Budget::default()) {
        Verdict::Ok => {}
        Verdict::Violated(violation) => panic!("{violation}"),
        Verdict::Unknown { keys } => panic!("cannot tell for keys {keys:?}"),
    }
}

#[test]
fn no_acknowledged_write_is_lost() {
    let lab = Lab::new("kept");
    let mut group = Group::start(&lab);
    group.leader();
    let out = lab.path().join("load.jsonl");
    let load = start(job(group.clients(), Span::seconds(9), false), &out);

    let seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let mut kills = Vec::new();
    for (leaders, seed) in [seed, seed.rotate_left(16)].into_iter().enumerate() {
        let moment = Duration::from_millis(500 + u64::from(seed % 1500));
        println!("leader {leaders} is killed after {moment:?}");
        std::thread::sleep(moment);
        let leader = group.leader();
        group.kill(leader);
        kills.push(clock::now());
        assert!(!load.is_finished(), "the load ended before the kill");
        group.leader();
        group.start_replica(leader);
    }
    load.join().unwrap().unwrap();
    let (mut operations, start) = recorded(&out);
    let acknowledged = |since: Monotonic| {
        let since = since.since(start).as_nanos() as i64;
        let of =
            |one: &&Operation| matches!(one.input, Input::Write(_)) && one.output == Output::Ok;
        operations
            .iter()
            .filter(of)
            .filter(|one| one.invoked.nanos() >= since)
            .count()
    };
    println!(
        "{} writes acknowledged, {} after the second kill",
        acknowledged(start),
        acknowledged(kills[1])
    );
    assert!(acknowledged(kills[1]) > 0, "the group came back");
    // The last operations read every key once more.
    assert_linearizable(&operations);

    for index in 0..3 {
        group.kill(index);
    }
    for index in 0..3 {
        group.start_replica(index);
    }
    let kept = workloads::read_back(ReadBack {
        driver: DriverKind::Resp,
        servers: &group.clients(),
        sample_keys: KEYS,
        start,
        patience: PATIENCE,
    });
    let kept = kept.unwrap();
    assert!(
        kept.iter().all(|read| read.output != Output::Value(None)),
        "every key was written: {kept:?}"
    );
    operations.extend(kept);
    assert_linearizable(&operations);
}

#[test]
fn in_a_session_no_request_fails_while_the_leader_changes() {
    let lab = Lab::new("once");
    let mut group = Group::start(&lab);
    group.leader();
    let out = lab.path().join("load.jsonl");
    let mut job = job(group.clients(), Span::seconds(6), true);
    job.workload.timeout = PATIENCE.into();
    let load = start(job, &out);
    std::thread::sleep(Duration::from_millis(1500));
    let leader = group.leader();
    group.kill(leader);
    load.join().unwrap().unwrap();

    let (operations, _) = recorded(&out);
    let totals = fs::read_to_string(&out).unwrap().lines().find_map(|line| {
        match serde_json::from_str(line).unwrap() {
            LoadReport::Done(totals) => Some(totals),
            _ => None,
        }
    });
    let totals = totals.unwrap();
    println!("{totals:?}");
    assert!(totals.ok > 100 && totals.errors.is_empty(), "{totals:?}");
    assert_linearizable(&operations);
}
