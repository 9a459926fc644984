//! Clients that send every request to both pilots of DepFast-Copilot and take the first answer, while pilots die.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::needs_root;
use common::recorded::{Recorded, job, start};
use common::replicas::{Group, PATIENCE};
use common::runs::Lab;
use depbench::agent::clock;
use results::{Event, EventKind, HistoryVerdict};
use targets::{DepfastCopilot, TargetSpec};
use vocab::ids::{Phase, Role};
use vocab::units::Span;
use workloads::DriverKind;

const PILOTS: [Role; 2] = [Role::Pilot, Role::Copilot];

fn wait_for_pilots(group: &Group<'_>) {
    for role in PILOTS {
        group.holder(role);
    }
}

#[test]
fn no_request_fails_and_no_write_is_lost_when_pilots_die() {
    let lab = Lab::new("pilots");
    let target = TargetSpec::DepfastCopilot(DepfastCopilot::default());
    let mut group = Group::start(&lab, "copilot", target);
    wait_for_pilots(&group);
    let out = lab.path().join("load.jsonl");
    let mut job = job(DriverKind::Pilots, group.clients(), Span::seconds(15));
    job.workload.timeout = PATIENCE.into();
    let load = start(job, &out);

    let mut kills = Vec::new();
    for victim in PILOTS {
        std::thread::sleep(Duration::from_millis(1500));
        let pilot = group.holder(victim);
        group.kill(pilot);
        kills.push(clock::now());
        assert!(!load.is_finished(), "the load ended before the kill");
        wait_for_pilots(&group);
        group.start_replica(pilot);
    }
    load.join().unwrap().unwrap();
    let mut seen = Recorded::of(&out);
    println!("{:?}", seen.totals);
    assert!(
        seen.totals.ok > 100 && seen.totals.errors.is_empty(),
        "both pilots are asked, so that one can die unnoticed: {:?}",
        seen.totals
    );
    assert!(
        seen.acknowledged(kills[1]) > 0,
        "writes after the last kill"
    );
    seen.assert_linearizable();

    for index in 0..3 {
        group.kill(index);
    }
    // One does not come back.
    for index in 1..3 {
        group.start_replica(index);
    }
    seen.read_back(DriverKind::Pilots, &group.clients()[1..], PATIENCE);
    seen.assert_linearizable();
}

/// `experiments/copilot-faults.yaml` in short.
#[test]
fn a_slow_pilot_stops_nobody() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("slowpilot");
    let run = lab.start(
        "cluster: {local: {servers: 3, clients: 1}}
targets: [{depfast-copilot: {}}]
workload:
  clients: 8
  connections: 4
  write: 50%
  sample_keys: 4
  keys: {uniform: {count: 100}}
  mode: {open: {rate: 200/s, arrivals: constant}}
phases: {warmup: 1s, baseline: 2s, fault: 4s, recovery: 2s}
faults:
  - name: slow
    type: {cpu.quota: {share: 5%}}
    on: {role: pilot}
sweep:
  faults.slow.type:
    - cpu.quota: {share: 5%}
    - net.delay: {delay: 40ms}
",
    );
    let ended = run.end();
    lab.assert_clean();
    lab.assert_sound(&ended, 2);
    for trial in lab.results().trials().unwrap() {
        let history = trial.record().history.clone();
        assert!(
            matches!(history, Some(HistoryVerdict::Linearizable { operations }) if operations > 10),
            "{history:?} {ended}"
        );
        let intervals = trial.intervals().unwrap();
        let faulty = intervals.iter().filter(|row| row.phase == Phase::Fault);
        assert!(faulty.map(|row| row.ok).sum::<u64>() > 0, "{ended}");
        let record = trial.record();
        if record.setup.id.cell.as_str().contains("quota") && record.validity().reason().is_none() {
            assert_tells_of_its_slowness(&trial.events().unwrap());
        }
    }
}

/// The replica that the fault was on says so itself, when it is asked at the end of the trial.
fn assert_tells_of_its_slowness(events: &[Event]) {
    let of_kind = |kind| events.iter().filter(move |event| event.kind == kind);
    let slow = of_kind(EventKind::FaultEffective).next().unwrap();
    let alerts: Vec<_> = of_kind(EventKind::Alert).collect();
    println!("{slow:?}: {alerts:?}");
    assert!(
        alerts
            .iter()
            .any(|alert| alert.node == slow.node && alert.at > slow.at),
        "{slow:?}: {alerts:?}"
    );
}
