//! Every fault that this kernel can do, on a machine over SSH.

use std::collections::BTreeSet;

use results::{EventKind, RunDir, TrialDir};
use vocab::ids::NodeName;

use super::HONEST;
use crate::hosts::{Hosts, text};

/// Faults with strengths that show within two seconds.
const KINDS: &[&str] = &[
    "cpu.quota: {share: 5%}",
    "cpu.contention: {weight: 15x}",
    "memory.limit: {bytes: 16MiB}",
    "memory.contention: {bytes: 64MiB}",
    "disk.throughput: {rate: 32KB/s}",
    "disk.iops: {rate: 50/s}",
    "disk.contention: {writers: 8}",
    "disk.latency: {delay: 200ms}",
    "net.delay: {delay: 40ms}",
    "net.loss: {share: 10%}",
    "net.reorder: {share: 20%, delay: 10ms}",
    "net.duplicate: {share: 10%}",
    "net.corrupt: {share: 10%}",
    "net.rate: {rate: 10KB/s}",
    "net.partition: {}",
    "process.pause: {}",
    "process.kill: {restart: 1s}",
];

/// Between a limit without effect and one that kills there is little, and it depends on the machine's speed.
const LIMITED: [&str; 2] = [
    "cannot limit memory to",
    "killed by the kernel: out of memory",
];

const REST: &str = "    disk: {own: 128MiB}
targets: [{depfast-raft: {}}]
workload: {clients: 8, connections: 4, value: 1kB}
phases: {warmup: 0s, baseline: 1s, fault: 2s}
faults: [{name: slow, type: {process.pause: {}}, on: {node: h1, allow_majority: true}}]
sweep:
  faults.slow.type:
";

fn name(kind: &str) -> &str {
    kind.split(':').next().unwrap()
}

/// Those that `check` says it has taken a way for.
fn possible(hosts: &Hosts) -> Vec<&'static str> {
    let file = hosts.experiment("look", &REST.replace("sweep:\n  faults.slow.type:\n", ""));
    let said = text(&hosts.depbench(&["check", file.to_str().unwrap()]));
    let (mut fault, mut taken) = ("", BTreeSet::new());
    for line in said.lines().filter(|line| line.starts_with("  ")) {
        // A fault's other ways have no name before them.
        if line.as_bytes()[2] != b' ' {
            fault = line.split_whitespace().next().unwrap();
        }
        if line.contains("  taken") {
            taken.insert(fault);
        }
    }
    assert!(taken.contains("process.pause"), "{said}");
    let mut kinds = KINDS.to_vec();
    kinds.retain(|kind| {
        let possible = taken.contains(name(kind));
        if !possible {
            println!("without {kind}, which is not possible here");
        }
        possible
    });
    kinds
}

/// Inject, and out again: as it happened on the machine.
fn assert_in_and_out(trial: &TrialDir, said: &str) {
    let record = trial.record();
    let cell = record.setup.id.cell.as_str();
    let reason = record.validity().reason().unwrap_or_default().to_owned();
    println!("{cell}: {reason}");
    assert!(record.is_complete(), "{cell}: {said}");
    let allowed = match cell.contains("=memory.limit") {
        true => LIMITED.as_slice(),
        false => &[],
    };
    let mut allowed = HONEST.iter().chain(allowed);
    assert!(
        reason.is_empty() || allowed.any(|honest| reason.contains(honest)),
        "{cell}: {reason}"
    );
    if reason.contains(LIMITED[0]) {
        return;
    }
    let course = [
        EventKind::FaultCommanded,
        EventKind::FaultEffective,
        EventKind::FaultCleared,
    ];
    let mut events = trial.events().unwrap();
    events.retain(|event| course.contains(&event.kind));
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, course, "{cell}: {events:?}");
    let on_it = |node: &NodeName| node.as_str() == "h1";
    assert!(
        events
            .iter()
            .all(|event| event.node.as_ref().is_some_and(on_it))
    );
}

#[test]
fn every_fault_is_in_and_out_again() {
    let known: BTreeSet<&str> = faults::list().into_iter().map(|fault| fault.name).collect();
    assert_eq!(
        KINDS.iter().map(|kind| name(kind)).collect::<BTreeSet<_>>(),
        known
    );
    let Some(hosts) = Hosts::up(2) else { return };
    let kinds = possible(&hosts);
    let sweep: String = kinds.iter().map(|kind| format!("    - {kind}\n")).collect();
    let file = hosts.experiment("every-fault", &format!("{REST}{sweep}"));
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    let said = text(&ended);
    assert!(matches!(ended.status.code(), Some(0 | 2)), "{said}");
    let trials = RunDir::open(&file.with_file_name("out")).unwrap();
    let trials = trials.trials().unwrap();
    assert_eq!(trials.len(), kinds.len(), "{said}");
    for trial in &trials {
        assert_in_and_out(trial, &said);
    }
    hosts.assert_clean();
    for host in [1, 2] {
        hosts.assert_gone("every-fault", host);
    }
    hosts.assert_no_masters();
}
