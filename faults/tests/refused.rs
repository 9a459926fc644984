//! Faults of disk, memory and processes that cannot be: refused with the reason, nothing half done.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Rig, has_cgroups, kind};
use depbench_faults::{Fault, FaultContext};
use nix::sys::signal::Signal;
use node::cgroup::Hierarchies;
use node::facts::Facts;

const FAULTS: [&str; 8] = [
    "{memory.limit: {bytes: 50MB}}",
    "{memory.limit: {bytes: 50MB, swap: none}}",
    "{memory.contention: {bytes: 16MiB}}",
    "{disk.throughput: {rate: 128KB/s}}",
    "{disk.iops: {rate: 50/s}}",
    "{disk.contention: {}}",
    "{disk.latency: {delay: 50ms}}",
    "{process.pause: {}}",
];

/// Why a fault cannot be prepared.
fn refusal(text: &str, context: &FaultContext) -> String {
    match Fault::prepare(&kind(text), context) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{text} is not refused"),
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    if !has_cgroups("no server") {
        return;
    }
    let mut rig = Rig::with_budget(1.0);
    let standing = rig.standing();
    for text in FAULTS {
        let error = refusal(text, &rig.context());
        assert!(error.contains("no server process runs"), "{text}: {error}");
    }
    let server = rig.serve(common::idle());
    let context = rig.context();
    server.signal(Signal::SIGKILL).unwrap();
    rig.servers[0].0.wait().unwrap();
    for text in FAULTS {
        let error = refusal(text, &context);
        assert!(error.contains("has ended"), "{text}: {error}");
    }
    assert_eq!(rig.standing(), standing);
}

#[test]
fn a_server_that_ends_before_the_fault_is_told_and_nothing_is_changed() {
    if !has_cgroups("server gone") {
        return;
    }
    for text in FAULTS {
        // Without a layer it is refused earlier.
        if text.contains("disk.latency") {
            continue;
        }
        let mut rig = Rig::with_budget(1.0);
        let server = rig.serve(common::idle());
        let standing = rig.standing();
        let mut fault = match Fault::prepare(&kind(text), &rig.context()) {
            Ok(fault) => fault,
            Err(error) => {
                println!("{text} skipped: {error}");
                continue;
            }
        };
        server.signal(Signal::SIGKILL).unwrap();
        rig.servers[0].0.wait().unwrap();
        let error = fault.inject().unwrap_err().to_string();
        assert!(error.contains("has ended"), "{text}: {error}");
        fault.clear().unwrap();
        assert_eq!(rig.standing(), standing, "{text}");
    }
}

#[test]
fn without_cgroups_limits_are_refused_with_the_remedy() {
    let mut rig = Rig::bare();
    rig.serve(common::idle());
    let context = FaultContext {
        facts: Facts {
            cgroups: Hierarchies::default(),
            ..Facts::gather().unwrap()
        },
        ..rig.context()
    };
    for text in [
        "{memory.limit: {bytes: 50MB}}",
        "{disk.throughput: {rate: 128KB/s}}",
        "{disk.iops: {rate: 50/s}}",
    ] {
        let error = refusal(text, &context);
        assert!(error.contains("run as root"), "{text}: {error}");
    }
    assert_eq!(rig.standing(), 0);
}
