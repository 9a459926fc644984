//! Machines whose clocks have nothing to do with each other: the results are in the controller's time.

use std::collections::BTreeSet;
use std::path::Path;

use results::{EventKind, RunDir};
use vocab::time::TrialTime;

use super::{assert_carried_out, reasons};
use crate::hosts::{Hosts, text};

/// By how many seconds the clock of a host is ahead: the server's, and that of the load, whose start is zero.
const AHEAD: [(usize, u64); 2] = [(1, 86_400), (2, 250_000)];

const PAUSED: &str = "targets: [{depfast-raft: {}}]
workload: {clients: 4, connections: 2}
phases: {warmup: 0s, baseline: 1s, fault: 2s}
faults: [{name: slow, type: {process.pause: {for: 200ms, period: 500ms}}, on: {node: h1, allow_majority: true}}]
";

/// Much longer than the trial, much shorter than any clock is ahead.
const NEAR: f64 = 3600.0;

#[test]
fn times_are_the_controllers_whatever_the_machines_clocks_say() {
    if !Path::new("/proc/self/ns/time").exists() {
        println!("skipped: this kernel has no namespaces of time");
        return;
    }
    let Some(hosts) = Hosts::up(2) else { return };
    for (host, seconds) in AHEAD {
        hosts.boot_ahead(host, seconds);
    }
    let file = hosts.experiment("clocks", PAUSED);
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    let said = text(&ended);
    assert!(matches!(ended.status.code(), Some(0 | 2)), "{said}");
    let run = RunDir::open(&file.with_file_name("out")).unwrap();
    assert_carried_out(reasons(run.path())[0].as_ref());

    // The truth is known, and the error must cover what was measured.
    for (host, seconds) in AHEAD {
        let mut nodes = run.environment().nodes.iter();
        let node = nodes.find(|node| node.node.as_str() == format!("h{host}"));
        let clock = node.unwrap().clock.unwrap();
        let truth = -(seconds as i64 * 1_000_000_000);
        assert!(
            clock.offset_ns.abs_diff(truth) <= clock.error_ns,
            "h{host}: {clock:?}"
        );
    }

    let trials = run.trials().unwrap();
    let [trial] = &trials[..] else {
        panic!("{said}")
    };
    let events = trial.events().unwrap();
    let at = |kind: EventKind| {
        let found = events.iter().find(|event| event.kind == kind);
        found
            .unwrap_or_else(|| panic!("no {kind:?} in {events:?}"))
            .at
    };
    // What machines say is between what the controller says.
    let course = [
        EventKind::TrialStarted,
        EventKind::LoadStarted,
        EventKind::FaultCommanded,
        EventKind::FaultEffective,
        EventKind::FaultCleared,
        EventKind::TrialEnded,
    ];
    let course = course.map(at);
    assert!(course.is_sorted(), "{events:?}");

    let samples = trial.samples().unwrap().into_iter().map(|row| row.at);
    let probes = trial.probes().unwrap().into_iter().map(|row| row.at);
    let times = events
        .iter()
        .map(|event| event.at)
        .chain(samples)
        .chain(probes);
    let far = times.filter(|time| time.seconds().abs() > NEAR);
    assert_eq!(far.collect::<Vec<TrialTime>>(), [], "{said}");

    let intervals = trial.intervals().unwrap();
    let seconds: BTreeSet<i64> = intervals
        .iter()
        .map(|row| row.start.nanos() / 1_000_000_000)
        .collect();
    assert_eq!(seconds, BTreeSet::from([0, 1, 2]), "{intervals:?}");
    hosts.assert_clean();
    hosts.assert_no_masters();
}
