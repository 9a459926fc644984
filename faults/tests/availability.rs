//! What machines of each kind can carry out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use depbench_faults::{Availability, Backend, Site, Wiring, available, check_table};
use node::facts::{Answer, Facts};
use serde_json::json;

/// This machine with other means.
fn machine(cgroups: serde_json::Value, netem: Answer, nfqueue: Answer) -> Facts {
    Facts {
        cgroups: serde_json::from_value(cgroups).unwrap(),
        netem,
        nfqueue,
        swap: vocab::units::Bytes(0),
        ..Facts::gather().unwrap()
    }
}

fn no(reason: &str) -> Answer {
    Answer::No(reason.to_owned())
}

fn v2() -> serde_json::Value {
    json!({"v1": [], "v2": "/sys/fs/cgroup", "v2_controllers": ["cpu", "cpuset", "memory", "io"], "refused": []})
}

fn v1() -> serde_json::Value {
    let hierarchy =
        |name: &str| json!({"controllers": [name], "base": format!("/sys/fs/cgroup/{name}")});
    json!({"v1": [hierarchy("cpu"), hierarchy("memory")], "v2": null, "v2_controllers": [], "refused": []})
}

fn nothing() -> serde_json::Value {
    json!({"v1": [], "v2": null, "v2_controllers": [], "refused": ["/sys/fs/cgroup/cpu is not writable"]})
}

fn backends(facts: &Facts) -> Vec<Option<Backend>> {
    let rows = check_table(facts, Wiring::Hub).into_iter();
    rows.map(|row| match row.availability {
        Availability::Yes { backend, .. } => Some(backend),
        Availability::No { .. } => None,
    })
    .collect()
}

use Backend::*;

#[test]
fn a_machine_with_everything_uses_the_kernels_own_means() {
    let facts = machine(v2(), Answer::Yes, Answer::Yes);
    let expected = [CgroupQuota, WeightedSpinner, MemoryHigh, Netem, Signals].map(Some);
    assert_eq!(backends(&facts), expected);
    assert!(
        check_table(&facts, Wiring::Hub)
            .iter()
            .all(|row| row.site == Site::Node)
    );
}

#[test]
fn a_minimal_kernel_uses_version_1_and_the_delay_line() {
    let facts = machine(v1(), no("the kernel has no netem"), Answer::Yes);
    let expected = [
        CgroupQuota,
        WeightedSpinner,
        MemoryLimit,
        DelayLine,
        Signals,
    ]
    .map(Some);
    assert_eq!(backends(&facts), expected);
    let sites: Vec<Site> = check_table(&facts, Wiring::Hub)
        .iter()
        .map(|row| row.site)
        .collect();
    assert_eq!(
        sites,
        [Site::Node, Site::Node, Site::Node, Site::Hub, Site::Node]
    );
    let memory = check_table(&facts, Wiring::Hub)[2].availability.to_string();
    assert!(memory.contains("without swap"), "{memory}");
}

#[test]
fn a_machine_without_privilege_stops_and_continues_and_says_what_is_missing() {
    let facts = machine(nothing(), no("no netem"), no("no NFQUEUE"));
    assert_eq!(
        backends(&facts),
        [Some(DutyCycle), None, None, None, Some(Signals)]
    );
    let table = check_table(&facts, Wiring::Hub);
    let text = |row: usize| table[row].availability.to_string();
    assert!(text(0).contains("without cgroups"), "{}", text(0));
    assert!(
        text(1).contains("/sys/fs/cgroup/cpu is not writable"),
        "{}",
        text(1)
    );
    // One part for the server, fifteen for the program.
    assert!(text(1).contains("nearest: cpu.quota 6.25%"), "{}", text(1));
    assert!(text(2).contains("run as root"), "{}", text(2));
    assert!(text(3).contains("no netem; no NFQUEUE"), "{}", text(3));
    assert!(text(3).contains("nearest: process.pause"), "{}", text(3));
}

#[test]
fn availability_does_not_hang_on_parameters() {
    let facts = machine(v1(), no("none"), Answer::Yes);
    let long = available(
        &common::kind("{net.delay: {delay: 400ms, jitter: 1ms}}"),
        &facts,
        Wiring::Hub,
    );
    assert_eq!(long, check_table(&facts, Wiring::Hub)[3].availability);
}
