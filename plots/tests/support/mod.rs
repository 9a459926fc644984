//! Runs like real ones, written through the real writer.

use std::path::Path;
use std::time::Duration;

use results::{
    Environment, Event, EventKind, Interval, LoadStart, Machine, NodeEnvironment, NodeSample,
    OpKind, Parameters, PhaseSpan, ProbeMoment, ProbeReading, Program, RunDir, SampleScope,
    TrialSetup, Validity,
};
use serde_json::json;
use vocab::ids::{CellId, Phase, TrialId};
use vocab::time::{Monotonic, TrialTime, Wall};
use vocab::units::Span;

const BEGAN: i64 = 1_795_000_000_123_456_789;

/// A cell of the synthetic experiment.
pub(crate) struct Cell {
    pub(crate) target: &'static str,
    pub(crate) parameters: Vec<(&'static str, serde_json::Value)>,
    /// Operations per second in the baseline.
    pub(crate) rate: f64,
    /// Median latency in the baseline, in milliseconds.
    pub(crate) median_ms: f64,
    /// What the fault leaves of throughput.
    pub(crate) left: f64,
    /// Seconds without any success after the fault, with a new leader at their end.
    pub(crate) outage: u32,
    /// Whether load goes on through a fault at all.
    pub(crate) phases: &'static [(Phase, u64)],
}

pub(crate) const WITH_FAULT: &[(Phase, u64)] = &[
    (Phase::Warmup, 5),
    (Phase::Baseline, 10),
    (Phase::Fault, 15),
    (Phase::Recovery, 10),
];

impl Cell {
    pub(crate) fn new(target: &'static str, rate: f64, median_ms: f64, left: f64) -> Cell {
        Cell {
            target,
            parameters: Vec::new(),
            rate,
            median_ms,
            left,
            outage: 0,
            phases: WITH_FAULT,
        }
    }

    pub(crate) fn setting(
        mut self,
        path: &'static str,
        value: impl Into<serde_json::Value>,
    ) -> Cell {
        self.parameters.push((path, value.into()));
        self
    }
}

pub(crate) fn environment(name: &str, limitations: &[&str]) -> Environment {
    let server = |index: u32| NodeEnvironment {
        node: format!("s{index}")
            .parse()
            .expect("a synthetic run is written"),
        purpose: "server".to_owned(),
        host: "bench-1".to_owned(),
        address: format!("10.77.0.{index}"),
        budget: Some("33% of 2 CPUs, period 10 ms".to_owned()),
        pinned_to: vec![0],
        disk: "loop device, ext4, direct I/O".to_owned(),
        clock: None,
    };
    Environment {
        run: "slow-follower-20261120T101502Z"
            .parse()
            .expect("a synthetic run is written"),
        experiment: name.parse().expect("a synthetic run is written"),
        began: Wall::from_unix_nanos(BEGAN),
        seed: 42,
        command: ["depbench", "run", "experiments/quickstart.yaml"]
            .map(str::to_owned)
            .to_vec(),
        program: Program {
            version: "0.1.0".to_owned(),
            hash: "sha256:4f1c0a".to_owned(),
        },
        provider: "local (network namespaces, as root)".to_owned(),
        limitations: limitations.iter().map(|text| (*text).to_owned()).collect(),
        machines: vec![Machine {
            host: "bench-1".to_owned(),
            kernel: "Linux 6.1.155 x86_64".to_owned(),
            system: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            processor: "Intel(R) Xeon(R) Processor @ 2.90GHz".to_owned(),
            cpus: 2,
            memory_bytes: 8_325_124_096,
            cgroups: "v2".to_owned(),
        }],
        nodes: (1..=3).map(server).collect(),
        versions: [("etcd".to_owned(), "3.4.23".to_owned())].into(),
    }
}

/// Numbers that look random and are always the same.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// As long as a directory's name may be.
fn cell_id(name: &str) -> CellId {
    CellId::new(&name.chars().take(120).collect::<String>())
}

pub(crate) fn write_trial(
    run: &RunDir,
    cell: &Cell,
    cell_index: u32,
    number: u32,
    validity: Option<Validity>,
) {
    let mut noise = Noise(u64::from(cell_index * 100 + number));
    let settings: Vec<String> = cell
        .parameters
        .iter()
        .map(|(path, value)| {
            format!(
                ",{}={}",
                path.rsplit('.').next().expect("a synthetic run is written"),
                value.to_string().trim_matches('"')
            )
        })
        .collect();
    let phases = PhaseSpan::in_turn(
        cell.phases
            .iter()
            .map(|(phase, length)| (*phase, Span::seconds(*length))),
    );
    let setup = TrialSetup {
        id: TrialId {
            cell: cell_id(&format!("{}{}", cell.target, settings.concat())),
            number,
        },
        cell_index,
        target: cell.target.to_owned(),
        parameters: cell
            .parameters
            .iter()
            .map(|(path, value)| ((*path).to_owned(), value.clone()))
            .collect::<Parameters>(),
        seed: u64::from(number) * 7919,
        phases: phases.clone(),
    };
    let wall = |at: f64| Wall::from_unix_nanos(BEGAN + (at * 1e9) as i64);
    let event = |at: f64, kind| Event::new(seconds(at), wall(at), kind);
    let mut writer = run
        .trial(setup, wall(-4.0))
        .expect("a synthetic run is written");
    writer
        .event(&event(-4.0, EventKind::TrialStarted))
        .expect("a synthetic run is written");
    writer
        .load_started(LoadStart {
            wall: wall(0.0),
            monotonic: Monotonic::from_nanos(123_456),
        })
        .expect("a synthetic run is written");
    let trial_factor = 1.0 + 0.06 * noise.normal();
    let mut cpu = [0.0; 3];
    for span in &phases {
        let (start, end) = (span.start.seconds(), span.end().seconds());
        writer
            .event(&event(start, EventKind::PhaseStarted).saying(span.phase.to_string()))
            .expect("a synthetic run is written");
        if span.phase == Phase::Fault {
            write_fault(&mut writer, cell, start, end, &event);
        }
        let mut at = start;
        while at < end {
            let out = span.phase == Phase::Fault && at < start + f64::from(cell.outage);
            let share = if span.phase == Phase::Fault {
                cell.left
            } else {
                1.0
            };
            let settling = if span.phase == Phase::Recovery {
                (0.75 + 0.12 * (at - start)).min(1.0)
            } else {
                1.0
            };
            let rate = if out {
                0.0
            } else {
                cell.rate * share * settling * trial_factor * (1.0 + 0.03 * noise.normal())
            };
            let mut interval =
                Interval::new(span.phase, seconds(at), Span::seconds(1), OpKind::Write);
            interval.ok = rate as u64;
            for _ in 0..interval.ok {
                let tail = if noise.uniform() < 0.01 / share {
                    6.0
                } else {
                    1.0
                };
                let milliseconds = cell.median_ms / share * (0.35 * noise.normal()).exp() * tail;
                interval
                    .latency
                    .record(Duration::from_secs_f64(milliseconds / 1e3));
            }
            if out {
                interval.errors.insert(results::ErrorKind::ClusterDown, 64);
            }
            for (index, used) in cpu.iter_mut().enumerate() {
                let slow = index == 1 && span.phase == Phase::Fault;
                *used += if slow { 0.05 } else { 0.33 } * (1.0 + 0.05 * noise.normal());
                let node = format!("s{}", index + 1)
                    .parse()
                    .expect("a synthetic run is written");
                let mut sample = NodeSample::new(seconds(at + 1.0), node, SampleScope::Server);
                sample.cpu_ns = Some((*used * 1e9) as u64);
                sample.memory_bytes = Some(40_000_000);
                writer.sample(&sample).expect("a synthetic run is written");
            }
            writer
                .interval(&interval)
                .expect("a synthetic run is written");
            at += 1.0;
        }
    }
    let end = phases
        .last()
        .expect("a synthetic run is written")
        .end()
        .seconds();
    writer
        .event(&event(end, EventKind::LoadEnded))
        .expect("a synthetic run is written");
    if let Some(validity) = validity {
        writer
            .finish(validity, wall(end + 1.0))
            .expect("a synthetic run is written");
    }
}

fn write_fault(
    writer: &mut results::TrialWriter,
    cell: &Cell,
    start: f64,
    end: f64,
    event: &impl Fn(f64, EventKind) -> Event,
) {
    let node = || "s2".parse().expect("a synthetic run is written");
    let fault = || "slow".parse().expect("a synthetic run is written");
    let of_fault = |at, kind| event(at, kind).on(node()).of(fault());
    writer
        .event(&of_fault(start, EventKind::FaultCommanded).saying("cpu.quota 5% of 2 CPUs"))
        .expect("a synthetic run is written");
    writer
        .event(&of_fault(start + 0.012, EventKind::FaultEffective))
        .expect("a synthetic run is written");
    if cell.outage > 0 {
        let back = start + f64::from(cell.outage);
        for offset in [0.1, 0.11, 0.4, 1.7] {
            let notice =
                event(start + offset, EventKind::ClientNotice).saying("connection to s2 lost");
            writer.event(&notice).expect("a synthetic run is written");
        }
        writer
            .event(
                &event(start + 0.5, EventKind::ProcessExited)
                    .on(node())
                    .saying("signal 9"),
            )
            .expect("a synthetic run is written");
        writer
            .event(
                &event(back, EventKind::LeaderChanged)
                    .on("s3".parse().expect("a synthetic run is written"))
                    .saying("s2 → s3, term 5"),
            )
            .expect("a synthetic run is written");
    }
    writer
        .event(&of_fault(end + 0.02, EventKind::FaultCleared))
        .expect("a synthetic run is written");
    for (at, moment, value) in [
        (start - 2.0, ProbeMoment::Before, 33.1),
        (start + 2.0, ProbeMoment::During, 5.02),
        (end + 3.0, ProbeMoment::After, 32.7),
    ] {
        let (fault, node) = (fault(), node());
        let probe = "cpu_share".to_owned();
        let reading = ProbeReading {
            at: seconds(at),
            fault,
            node,
            moment,
            probe,
            value,
            unit: "% of a CPU".to_owned(),
        };
        writer.probe(&reading).expect("a synthetic run is written");
    }
}

pub(crate) fn seconds(seconds: f64) -> TrialTime {
    TrialTime::from_nanos((seconds * 1e9).round() as i64)
}

pub(crate) const NO_EFFECT: &str = "fault `slow` on s2 had no effect: CPU share stayed at 32.9 % of a CPU where at most 6 % was expected";

/// Two targets, two strengths of a fault, three trials; some invalid, one cell wholly.
pub(crate) fn comparison(path: &Path) -> RunDir {
    let yaml = "name: slow-follower\ncluster: {local: {servers: 3, clients: 1}}\ntargets: [{depfast-raft: {}}, {etcd: {}}]\n";
    let limits = [
        "no netem in this kernel: delays are made by depbench's own delay line, good to about 0.2 ms",
    ];
    let run = RunDir::create(path, yaml, &environment("slow-follower", &limits))
        .expect("a synthetic run is written");
    let share = "faults.slow.type.cpu.quota.share";
    let invalid = || {
        Some(Validity::Invalid {
            reason: NO_EFFECT.to_owned(),
        })
    };
    let mut outage = Cell::new("etcd", 900.0, 14.0, 0.35).setting(share, "5%");
    outage.outage = 3;
    let cells = [
        Cell::new("depfast-raft", 3100.0, 4.1, 0.96).setting(share, "5%"),
        Cell::new("depfast-raft", 3150.0, 4.0, 0.99).setting(share, "50%"),
        outage,
        Cell::new("etcd", 950.0, 13.0, 0.9).setting(share, "50%"),
    ];
    for (index, cell) in cells.iter().enumerate() {
        for number in 1..=3 {
            let validity = if index == 3 || (index == 1 && number == 2) {
                invalid()
            } else {
                Some(Validity::Valid)
            };
            write_trial(&run, cell, index as u32, number, validity);
        }
    }
    run
}

/// Two targets under a growing number of clients, without a fault.
pub(crate) fn client_sweep(path: &Path) -> RunDir {
    let run = RunDir::create(path, "name: saturation\n", &environment("saturation", &[]))
        .expect("a synthetic run is written");
    for (of, (target, peak, base)) in [("depfast-raft", 4000.0, 0.6), ("etcd", 1100.0, 1.9)]
        .into_iter()
        .enumerate()
    {
        for (index, clients) in [1u32, 4, 16, 64, 256].into_iter().enumerate() {
            let clients_f = f64::from(clients);
            let rate = peak * clients_f / (clients_f + peak * base / 1000.0 * 2.5);
            let mut cell = Cell::new(target, rate, clients_f / rate * 900.0, 1.0)
                .setting("workload.clients", clients);
            cell.phases = &[(Phase::Warmup, 1), (Phase::Baseline, 3)];
            write_trial(
                &run,
                &cell,
                (of * 5 + index) as u32,
                1,
                Some(Validity::Valid),
            );
        }
    }
    run
}

/// The quickstart: one cell, one trial.
pub(crate) fn single(path: &Path) -> RunDir {
    let limits = [
        "no CPU budgets: not root, so a slowed server leaves its CPU time to the others",
        "no disk of its own for each node: not root",
    ];
    let run = RunDir::create(
        path,
        "name: quickstart\n",
        &environment("quickstart", &limits),
    )
    .expect("a synthetic run is written");
    write_trial(
        &run,
        &Cell::new("depfast-raft", 3000.0, 4.0, 0.9),
        0,
        1,
        Some(Validity::Valid),
    );
    run
}

/// Many cells with long names, and short phases.
pub(crate) fn crowded(path: &Path) -> RunDir {
    let limits = [
        "no CPU budgets: the cgroup controllers of this machine are not delegated to this user, so that a slowed server \
         leaves its CPU time to the others",
    ];
    let run = RunDir::create(path, "name: crowded\n", &environment("crowded", &limits))
        .expect("a synthetic run is written");
    let mut index = 0;
    for (target, rate) in [
        ("depfast-raft", 3000.0),
        ("etcd", 700.0),
        ("redis", 12_000.0),
    ] {
        for (share, left) in [("5%", 0.5), ("50%", 0.95)] {
            for value in ["16B", "64KiB"] {
                let mut cell = Cell::new(target, rate, 0.3, left)
                    .setting("faults.slow.type.cpu.quota.share", share)
                    .setting("faults.slow-disk.type.disk.throughput.share", "128KB/s")
                    .setting("workload.value", value);
                cell.outage = u32::from(share == "5%");
                cell.phases = &[
                    (Phase::Baseline, 2),
                    (Phase::Fault, 2),
                    (Phase::Recovery, 2),
                ];
                let reason = "agent of s3 lost: no frame for 15 s".to_owned();
                let lost = index == 5;
                let validity = if lost {
                    Validity::Invalid { reason }
                } else {
                    Validity::Valid
                };
                write_trial(&run, &cell, index, 1, Some(validity));
                index += 1;
            }
        }
    }
    run
}

/// The second figure of HotOS'21: three groups, their clients, and one wait on a single member.
pub(crate) fn three_groups(path: &Path) -> RunDir {
    let run = single(path);
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for (group, first) in [("shard 1", 1), ("shard 2", 4), ("shard 3", 7)] {
        let name = |member: u32| format!("s{}", first + member);
        let edge = |from: String, to: String, needed: u32, total: u32, count: u32| {
            json!({"group": group, "from": from, "to": to, "needed": needed, "total": total,
                   "waits": [{"label": "replication", "on": "", "count": count}]})
        };
        nodes.extend((0..3).map(|member| json!({"group": group, "name": name(member)})));
        edges.push(edge("c1".to_owned(), name(0), 1, 1, 90_000));
        edges.extend((1..3).map(|member| edge(name(0), name(member), 2, 3, 12_345)));
    }
    edges.push(
        json!({"group": "shard 2", "from": "s5", "to": "s6", "needed": 1, "total": 1, "waits": []}),
    );
    let graph = json!({"nodes": nodes, "edges": edges}).to_string();
    let trials = run.trials().expect("a synthetic run is written");
    std::fs::write(trials[0].path().join("waits.json"), graph).expect("a synthetic run is written");
    run
}
