//! Faults that come and go within a trial: ramps, intermittent ones, several at once, and paired windows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::needs_root;
use common::runs::Lab;
use results::{Event, EventKind, ProbeMoment, TrialDir};

/// When a fault was put in on a node, and when it was taken out, with what was set.
fn stretches(trial: &TrialDir, fault: &str) -> Vec<(f64, f64, String)> {
    let events = trial.events().unwrap();
    let of = |kind: EventKind| -> Vec<&Event> {
        let named = |event: &&Event| {
            event
                .fault
                .as_ref()
                .is_some_and(|name| name.as_str() == fault)
        };
        events
            .iter()
            .filter(|event| event.kind == kind)
            .filter(named)
            .collect()
    };
    let (commanded, effective) = (of(EventKind::FaultCommanded), of(EventKind::FaultEffective));
    let cleared = of(EventKind::FaultCleared);
    assert_eq!(commanded.len(), effective.len(), "{events:?}");
    assert_eq!(effective.len(), cleared.len(), "{events:?}");
    effective
        .iter()
        .zip(cleared)
        .map(|(start, end)| (start.at.seconds(), end.at.seconds(), start.detail.clone()))
        .collect()
}

#[test]
fn a_ramp_and_an_intermittent_fault_at_once() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("schedules");
    let run = lab.start(
        "cluster: {local: {servers: 5, clients: 1, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {clients: 16, connections: 4}
phases: {warmup: 1s, baseline: 3s, fault: 9s, recovery: 3s}
faults:
  - name: ramp
    type: {cpu.quota: {share: 2%}}
    on: {node: s4}
    schedule: {ramp: {from: {cpu.quota: {share: 80%}}, steps: 3, over: 6s}}
  - name: stutter
    type: {process.pause: {}}
    on: {node: s5}
    at: 1s
    for: 5s
    schedule: {intermittent: {on: 1s, off: 1s}}
",
    );
    let ended = run.end();
    lab.assert_clean();
    lab.assert_sound(&ended, 1);
    let trial = &lab.results().trials().unwrap()[0];
    let ramp = stretches(trial, "ramp");
    let shown: Vec<&str> = ramp.iter().map(|(_, _, detail)| detail.as_str()).collect();
    assert_eq!(ramp.len(), 3, "{shown:?}");
    assert!(
        ramp.windows(2)
            .all(|pair| pair[0].1 <= pair[1].0 && pair[0].2 != pair[1].2),
        "{ramp:?}"
    );
    // Never early; how late depends on the machine.
    assert!(
        ramp[0].0 >= 4.0 && ramp[1].0 >= 6.0 && ramp[2].0 >= 8.0,
        "{ramp:?}"
    );
    assert!(ramp[2].1 >= 13.0, "{ramp:?}");
    let stutter = stretches(trial, "stutter");
    assert_eq!(stutter.len(), 3, "{stutter:?}");
    assert!(stutter.iter().all(|(from, to, _)| from < to), "{stutter:?}");
    assert!(stutter[0].0 >= 5.0 && stutter[2].1 >= 10.0, "{stutter:?}");
    // Each stretch is a band of the figure.
    let figure = fs::read_dir(lab.out().join("figures"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("timeline-") && name.ends_with(".svg")
        })
        .unwrap();
    assert!(
        fs::read_to_string(figure)
            .unwrap()
            .contains("stutter on s5")
    );
}

#[test]
fn paired_windows_give_a_ratio_with_its_interval() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("paired");
    let run = lab.start(
        "cluster: {local: {servers: 3, clients: 1, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {clients: 16, connections: 4}
phases: {warmup: 1s, baseline: 3s, paired: {windows: 3, on: 2s, off: 2s}, recovery: 2s}
faults:
  - name: slow
    type: {process.pause: {}}
    on: {role: follower}
expect:
  - {of: throughput, at_most: 1000x}
  - {of: p99, at_most: 0x}
",
    );
    let ended = run.end();
    lab.assert_clean();
    let validities = lab.validities();
    lab.assert_honest(&validities, &ended);
    let trial = &lab.results().trials().unwrap()[0];
    assert_eq!(stretches(trial, "slow").len(), 3);
    let events = trial.events().unwrap();
    let windows: Vec<&str> = events
        .iter()
        .filter(|event| event.kind == EventKind::WindowStarted)
        .map(|event| event.detail.as_str())
        .collect();
    assert_eq!(
        windows,
        [
            "fault-free 1",
            "fault 1",
            "fault-free 2",
            "fault 2",
            "fault-free 3",
            "fault 3"
        ]
    );
    let pairs = fs::read_to_string(lab.out().join("pairs.csv")).unwrap();
    assert_eq!(pairs.lines().count(), 4, "{pairs}");
    let tolerance = fs::read_to_string(lab.out().join("tolerance.csv")).unwrap();
    let valid = trial.record().validity().reason().is_none();
    assert_eq!(
        tolerance.lines().count(),
        if valid { 2 } else { 1 },
        "{tolerance}"
    );
    let verdict = fs::read_to_string(lab.out().join("verdict.json")).unwrap();
    if valid {
        ended.expect(1).says(&[
            "3 pairs: throughput ",
            "holds: throughput during fault at most 1000x the baseline",
            "BROKEN: p99 during fault at most 0x the baseline",
        ]);
        assert!(verdict.contains(r#""verdict": "fail""#), "{verdict}");
    } else {
        ended.expect(2).says(&["inconclusive: p99 during fault"]);
    }
}

#[test]
fn a_fault_follows_its_role() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("track");
    let run = lab.start(
        "cluster: {local: {servers: 3, clients: 1, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {clients: 8, connections: 4}
phases: {warmup: 1s, baseline: 3s, fault: 20s, recovery: 3s}
faults:
  - name: mute
    type: {process.pause: {}}
    on: {role: leader, resolve: track}
",
    );
    let ended = run.end();
    lab.assert_clean();
    lab.assert_sound(&ended, 1);
    let events = lab.results().trials().unwrap()[0].events().unwrap();
    let on = |kind: EventKind| -> Vec<String> {
        let found = events.iter().filter(|event| event.kind == kind);
        found
            .map(|event| event.node.as_ref().unwrap().to_string())
            .collect()
    };
    // A leader that is stopped loses its role to another, which is stopped in turn, and goes on.
    let (effective, cleared) = (on(EventKind::FaultEffective), on(EventKind::FaultCleared));
    assert!(effective.len() >= 2, "{events:?}");
    assert_eq!(effective, cleared, "{events:?}");
    assert!(
        effective.windows(2).all(|pair| pair[0] != pair[1]),
        "{effective:?}"
    );
}

#[test]
fn links_between_servers_are_slow_one_way() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("link");
    let run = lab.start(
        "cluster: {local: {servers: 3, clients: 1, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {clients: 8, connections: 4}
phases: {warmup: 1s, baseline: 3s, fault: 4s, recovery: 3s}
faults:
  - {name: to-s2, type: {net.delay: {delay: 40ms}}, on: {link: {from: s1, to: s2}}}
  - {name: to-s3, type: {net.delay: {delay: 40ms}}, on: {link: {from: s1, to: s3}}}
",
    );
    let ended = run.end();
    lab.assert_clean();
    lab.assert_sound(&ended, 1);
    let trial = &lab.results().trials().unwrap()[0];
    for fault in ["to-s2", "to-s3"] {
        let far = stretches(trial, fault);
        assert_eq!(far.len(), 1, "{far:?}");
        assert!(far[0].2.contains("40ms"), "{far:?}");
    }
    // A leader sends to both, a follower to its leader; two followers have nothing to say to each other.
    let probes = trial.probes().unwrap();
    let mut through = probes
        .iter()
        .filter(|one| one.moment == ProbeMoment::During && one.probe == "delayed_packets");
    assert!(through.any(|one| one.value > 0.0), "{probes:?}");
}
