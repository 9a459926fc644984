//! Experiments from the file to the report, with everything that a run leaves on disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::needs_root;
use common::runs::{Lab, needs_program};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use nix::sys::signal::Signal;
use results::{EventKind, HistoryVerdict, ProbeMoment, TrialDir, Validity};

/// One line of a CSV file, by column.
type Row = std::collections::HashMap<String, String>;

fn rows(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

#[test]
fn quickstart_with_two_systems() {
    if !needs_program("etcd") {
        return;
    }
    let lab = Lab::new("quick");
    // etcd preallocates 128 MB of log.
    let run = lab.start(
        "cluster: {local: {servers: 3, clients: 1, disk: {own: 256MiB}}}
targets: [{depfast-raft: {}}, {etcd: {}}]
workload: {clients: 16, connections: 4}
phases: {warmup: 1s, baseline: 3s, fault: 3s, recovery: 3s}
faults:
  - name: slow-follower
    type: {cpu.quota: {share: 5%}}
    on: {role: follower}
",
    );
    let ended = run.end();
    lab.assert_clean();
    lab.assert_sound(&ended, 2);
    ended.says(&[
        "baseline",
        "fault",
        "recovery",
        "depfast-raft",
        "etcd",
        "report: ",
    ]);
    // A line a second of throughput and p99, with the phase.
    assert!(
        ended.err.contains("fault-effective") && ended.err.contains("/s  p99"),
        "{ended}"
    );

    let out = lab.out();
    for file in [
        "experiment.yaml",
        "environment.json",
        "summary.csv",
        "effects.csv",
        "verdict.json",
    ] {
        assert!(fs::metadata(out.join(file)).unwrap().len() > 0, "{file}");
    }
    assert_eq!(
        lab.results().environment().versions["etcd"]
            .split(':')
            .next(),
        Some("etcd Version")
    );
    let trials = lab.results().trials().unwrap();
    assert_eq!(trials.len(), 2);
    for trial in &trials {
        assert_complete(trial);
    }
    let measured = rows(&out.join("trials.csv"));
    for target in ["depfast-raft", "etcd"] {
        for phase in ["baseline", "fault", "recovery"] {
            let row = measured
                .iter()
                .find(|row| row["target"] == target && row["phase"] == phase);
            let row = row.unwrap_or_else(|| panic!("no {phase} of {target}: {measured:?}"));
            assert!(row["n"].parse::<u64>().unwrap() > 0, "{row:?}");
        }
    }
    let verdict: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("verdict.json")).unwrap()).unwrap();
    assert_eq!(
        verdict["verdict"],
        if ended.status.success() {
            "pass"
        } else {
            "inconclusive"
        }
    );

    assert_figures(&out, &["throughput", "latency-cdf"]);
    assert_self_contained(&out.join("report.html"));
}

/// Every file of a trial with one fault is there, can be read, and tells of the same trial.
fn assert_complete(trial: &TrialDir) {
    let phases = |found: BTreeSet<String>| {
        let all = ["baseline", "fault", "recovery", "warmup"].map(str::to_owned);
        assert_eq!(found, BTreeSet::from(all), "{}", trial.path().display());
    };
    let intervals = trial.intervals().unwrap();
    phases(intervals.iter().map(|row| row.phase.to_string()).collect());
    assert!(intervals.iter().map(|row| row.ok).sum::<u64>() > 0);

    let log = fs::read(trial.path().join("latency.hlog")).unwrap();
    let mut tags = BTreeSet::new();
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(line) = entry.unwrap_or_else(|error| panic!("{error:?}")) {
            let tag = line.tag().unwrap().as_str();
            tags.insert(tag.strip_suffix("/write").unwrap().to_owned());
        }
    }
    phases(tags);

    let events = trial.events().unwrap();
    for kind in [
        EventKind::LoadStarted,
        EventKind::FaultEffective,
        EventKind::FaultCleared,
        EventKind::TrialEnded,
    ] {
        assert!(
            events.iter().any(|event| event.kind == kind),
            "no {kind} in {events:?}"
        );
    }
    let probes = trial.probes().unwrap();
    for moment in [ProbeMoment::Before, ProbeMoment::During, ProbeMoment::After] {
        assert!(
            probes.iter().any(|reading| reading.moment == moment),
            "no {moment:?} in {probes:?}"
        );
    }
    let nodes: BTreeSet<String> = trial
        .samples()
        .unwrap()
        .iter()
        .map(|sample| sample.node.to_string())
        .collect();
    assert_eq!(
        nodes.into_iter().collect::<Vec<_>>(),
        ["c1", "s1", "s2", "s3"]
    );
}

fn assert_figures(out: &Path, names: &[&str]) {
    for name in names {
        let svg = fs::read_to_string(out.join(format!("figures/{name}.svg"))).unwrap();
        assert!(
            svg.contains("<svg") && svg.trim_end().ends_with("</svg>"),
            "{name}"
        );
        let png = fs::read(out.join(format!("figures/{name}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
    }
}

/// It opens anywhere: nothing in it is to be fetched from elsewhere.
fn assert_self_contained(report: &Path) {
    // The name of a namespace is no address.
    let html = fs::read_to_string(report)
        .unwrap()
        .replace(r#"xmlns="http://www.w3.org/2000/svg""#, "");
    assert!(html.contains("<svg") && html.trim_end().ends_with("</html>"));
    for elsewhere in ["http:", "https:", "src=", "<link", "@import", "url("] {
        assert!(
            !html.contains(elsewhere),
            "{elsewhere} in {}",
            report.display()
        );
    }
}

#[test]
fn a_sweep_gives_a_curve_and_the_cluster_can_be_kept() {
    let lab = Lab::new("sweep");
    let file = lab.file(
        "cluster: {local: {servers: 3, clients: 1, budget: none, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {connections: 2}
phases: {warmup: 1s, baseline: 2s}
sweep: {workload.clients: [2, 8, 32]}
",
    );
    let out = lab.out();
    let mut run = lab.depbench(&[
        "run",
        "--keep",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    let said = run.until("stays up until Ctrl-C", 1);
    let words = lab
        .depbench(&["exec", "s2", "--", "echo", "hello", "from here"])
        .end();
    assert_eq!(words.expect(0).out, "hello from here\n", "{said}");
    lab.depbench(&["exec", "s2", "--", "sh", "-c", "exit 7"])
        .end()
        .expect(7);
    lab.depbench(&["exec", "s9", "--", "true"])
        .end()
        .expect(4)
        .says(&["s9", "/s1", "/c1"]);
    lab.depbench(&["logs", "s1"]).end().expect(0);
    run.signal(Signal::SIGINT);
    let ended = run.end();
    lab.assert_clean();
    lab.assert_sound(&ended, 3);
    assert_figures(
        &lab.out(),
        &["latency-throughput", "latency-cdf", "throughput"],
    );
    let cells: BTreeSet<String> = rows(&lab.out().join("summary.csv"))
        .into_iter()
        .map(|mut row| row.remove("cell").unwrap())
        .collect();
    assert_eq!(cells.len(), 3, "{cells:?}");
    assert!(
        lab.results()
            .trials()
            .unwrap()
            .iter()
            .all(|trial| trial.probes().unwrap().is_empty())
    );
}

#[test]
fn every_other_fault_bites_and_goes() {
    if !needs_root() || !needs_program("iptables") {
        return;
    }
    let mut lab = Lab::new("faults");
    // Between a limit without effect and one that kills there is little, and it depends on the machine's speed.
    lab.allow("cannot limit memory to");
    lab.allow("killed by the kernel: out of memory");
    let run = lab.start(
        "cluster: {local: {servers: 3, clients: 1, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {clients: 8, connections: 4, value: 1kB, keys: {uniform: {count: 100}}}
phases: {warmup: 1s, baseline: 2s, fault: 3s, recovery: 3s}
faults:
  - name: slow
    type: {process.pause: {}}
    on: {role: follower}
sweep:
  faults.slow.type:
    - process.pause: {for: 300ms, period: 1s}
    - net.delay: {delay: 40ms}
    - cpu.contention: {weight: 15x}
    - memory.limit: {bytes: 32MiB}
",
    );
    let ended = run.end();
    lab.assert_clean();
    lab.assert_sound(&ended, 4);
    for trial in lab.results().trials().unwrap() {
        let record = trial.record();
        let cell = record.setup.id.cell.as_str();
        println!("{cell}: {}", record.validity());
        if record.validity() != Validity::Valid {
            // It says with which reading.
            continue;
        }
        let probes = trial.probes().unwrap();
        let reading = |moment: ProbeMoment, name: &str| {
            let mut found = probes
                .iter()
                .filter(|one| one.moment == moment && one.probe == name);
            let found = found.next();
            found
                .unwrap_or_else(|| panic!("{cell}: no {name} {moment:?} in {probes:?}"))
                .value
        };
        let during = |name| reading(ProbeMoment::During, name);
        let bites = match cell {
            cell if cell.contains("process.pause") => during("throttled_periods") > 0.0,
            cell if cell.contains("net.delay") => {
                let before = reading(ProbeMoment::Before, "round_trip");
                reading(ProbeMoment::After, "round_trip") < 20.0
                    && during("round_trip") - before > 39.0
            }
            cell if cell.contains("cpu.contention") => during("contention_share") > 1.0,
            cell if cell.contains("memory.limit") => during("memory_limit_hits") > 0.0,
            cell => panic!("{cell} is no cell of the sweep"),
        };
        assert!(bites, "{cell}: {probes:?}");
    }
}

#[test]
fn two_client_nodes_load_together_and_their_history_is_judged() {
    let lab = Lab::new("clients");
    let run = lab.start(
        "cluster: {local: {servers: 3, clients: 2, mode: plain}}
targets: [{depfast-raft: {durability: memory}}]
workload: {clients: 9, connections: 3, write: 50%, sample_keys: 20, keys: {uniform: {count: 20}}, exactly_once: true}
phases: {warmup: 1s, baseline: 2s}
",
    );
    let ended = run.end();
    lab.assert_clean();
    let trials = lab.results().trials().unwrap();
    assert_eq!(trials.len(), 1, "{ended}");
    let Some(HistoryVerdict::Linearizable { operations }) = trials[0].record().history else {
        panic!("{:?} {ended}", trials[0].record());
    };
    assert!(operations > 100, "{operations}");

    // The intervals of both workers are one; each second has its writes and its reads.
    let intervals = trials[0].intervals().unwrap();
    assert_eq!(intervals.len(), 6, "{intervals:?}");
    let ok: u64 = intervals.iter().map(|row| row.ok).sum();
    let history = fs::read_to_string(trials[0].path().join("history.jsonl")).unwrap();
    let mut clients = BTreeSet::new();
    let mut recorded = 0;
    for line in history.lines() {
        let operation: history::Operation = serde_json::from_str(line).unwrap();
        clients.insert(operation.client);
        recorded += 1;
    }
    // All keys are sampled; besides there are those in flight at the end and the reads after the load.
    assert!(ok <= recorded && recorded <= ok + 100, "{ok} {recorded}");
    let numbers = [0, 1, 2, 3, 4, 100_000, 100_001, 100_002, 100_003, u32::MAX];
    assert_eq!(clients, BTreeSet::from(numbers));
}
