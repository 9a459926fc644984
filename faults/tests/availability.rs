//! What machines of each kind can carry out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use depbench_faults::{Availability, Backend, CheckRow, Site, Wiring, available, check_table};
use node::facts::{Answer, Facts};
use node::tool::Program;
use serde_json::json;
use vocab::units::Span;

/// This machine with other means.
fn machine(cgroups: serde_json::Value, netem: Answer, nfqueue: Answer) -> Facts {
    Facts {
        cgroups: serde_json::from_value(cgroups).unwrap(),
        netem,
        nfqueue,
        swap: vocab::units::Bytes(0),
        euid: 0,
        loop_devices: Answer::Yes,
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
    json!({"v1": [hierarchy("cpu"), hierarchy("memory"), hierarchy("io")], "v2": null, "v2_controllers": [], "refused": []})
}

fn nothing() -> serde_json::Value {
    json!({"v1": [], "v2": null, "v2_controllers": [], "refused": ["/sys/fs/cgroup/cpu is not writable"]})
}

fn row(facts: &Facts, fault: &str) -> CheckRow {
    let mut rows = check_table(facts, Wiring::Hub).into_iter();
    rows.find(|row| row.fault == fault).unwrap()
}

fn backend(facts: &Facts, fault: &str) -> Option<Backend> {
    match row(facts, fault).availability {
        Availability::Yes { backend, .. } => Some(backend),
        Availability::No { .. } => None,
    }
}

fn text(facts: &Facts, fault: &str) -> String {
    row(facts, fault).availability.to_string()
}

/// Checks the back ends of some faults.
fn expect<const N: usize>(facts: &Facts, expected: [(&str, Option<Backend>); N]) {
    for (fault, wanted) in expected {
        assert_eq!(backend(facts, fault), wanted, "{fault}");
    }
}

use Backend::*;

#[test]
fn a_machine_with_everything_uses_the_kernels_own_means() {
    let facts = machine(v2(), Answer::Yes, Answer::Yes);
    let expected = [
        ("cpu.quota", Some(CgroupQuota)),
        ("cpu.contention", Some(WeightedSpinner)),
        ("memory.limit", Some(MemoryHighSwap)),
        ("disk.throughput", Some(IoMax)),
        ("disk.iops", Some(IoMax)),
        ("disk.contention", Some(DiskWriter)),
        ("net.delay", Some(Netem)),
        ("net.loss", Some(Netem)),
        ("net.rate", Some(Tbf)),
        ("process.pause", Some(Signals)),
    ];
    expect(&facts, expected);
    // What is cut off is better cut off where its sender does not notice.
    let at_the_hub = check_table(&facts, Wiring::Hub).into_iter();
    let at_the_hub: Vec<&str> = at_the_hub
        .filter(|row| row.site == Site::Hub)
        .map(|row| row.fault)
        .collect();
    assert_eq!(at_the_hub, ["net.partition"]);
}

#[test]
fn a_minimal_kernel_uses_version_1_and_the_delay_line() {
    let facts = machine(v1(), no("the kernel has no netem"), Answer::Yes);
    let expected = [
        ("cpu.quota", Some(CgroupQuota)),
        ("cpu.contention", Some(WeightedSpinner)),
        ("memory.limit", Some(MemoryLimitSwap)),
        ("disk.throughput", Some(BlkioThrottle)),
        ("disk.iops", Some(BlkioThrottle)),
        ("net.delay", Some(DelayLine)),
        ("net.corrupt", Some(DelayLine)),
        ("net.rate", Some(Tbf)),
        ("net.partition", Some(PacketFilter)),
        ("process.pause", Some(Signals)),
    ];
    expect(&facts, expected);
    assert_eq!(row(&facts, "cpu.quota").site, Site::Node);
    assert_eq!(row(&facts, "net.delay").site, Site::Hub);
    assert_eq!(row(&facts, "net.rate").site, Site::Node);
    assert_eq!(row(&facts, "net.partition").site, Site::Hub);
    let memory = text(&facts, "memory.limit");
    assert!(memory.contains("swaps to the machine's disk"), "{memory}");
    let disk = text(&facts, "disk.throughput");
    assert!(
        disk.contains("buffered writes that the server never syncs"),
        "{disk}"
    );
}

#[test]
fn a_network_that_is_not_ours_is_delayed_on_the_node() {
    let facts = Facts {
        tap: Answer::Yes,
        euid: 0,
        programs: vec![(Program::Tc, "/sbin/tc".into())],
        ..machine(v1(), no("no netem"), Answer::Yes)
    };
    let delay = common::kind("{net.delay: {delay: 400ms}}");
    assert_eq!(delay.site(&facts, Wiring::Direct), Site::Node);
    let Availability::Yes { backend, note } = available(&delay, &facts, Wiring::Direct) else {
        panic!("there is a tap");
    };
    assert_eq!(backend, TapLine);
    assert!(note.unwrap().contains("should the delay line die"));
    let cut = common::kind("{net.partition: {}}");
    assert_eq!(cut.site(&facts, Wiring::Direct), Site::Node);
    let shared = available(&delay, &facts, Wiring::Shared).to_string();
    assert!(shared.contains("share one loopback"), "{shared}");
}

#[test]
fn a_machine_without_privilege_stops_and_continues_and_says_what_is_missing() {
    let facts = Facts {
        tbf: no("no tbf"),
        packet_filter: no("no iptables"),
        tap: no("no tap"),
        euid: 1000,
        ..machine(nothing(), no("no netem"), no("no NFQUEUE"))
    };
    let expected = [
        ("cpu.quota", Some(DutyCycle)),
        ("cpu.contention", None),
        ("memory.limit", None),
        ("disk.throughput", None),
        ("disk.contention", Some(DiskWriter)),
        ("net.delay", None),
        ("process.pause", Some(Signals)),
    ];
    expect(&facts, expected);
    for (fault, said) in [
        ("cpu.quota", "without cgroups"),
        ("cpu.contention", "/sys/fs/cgroup/cpu is not writable"),
        // One part for the server, fifteen for the program.
        ("cpu.contention", "nearest: cpu.quota 6.25%"),
        ("memory.limit", "run as root"),
        ("disk.iops", "run as root"),
        ("disk.iops", "nearest: disk.contention"),
        (
            "net.delay",
            "no netem; no NFQUEUE; links of depbench's own need root",
        ),
        ("net.rate", "no tbf; no netem"),
        ("net.partition", "no iptables"),
        ("net.delay", "nearest: process.pause"),
    ] {
        let text = text(&facts, fault);
        assert!(text.contains(said), "{fault}: {text}");
    }
}

#[test]
fn availability_does_not_hang_on_parameters() {
    let facts = machine(v1(), no("none"), Answer::Yes);
    let long = common::kind("{net.delay: {delay: 400ms, jitter: 1ms}}");
    let long = available(&long, &facts, Wiring::Hub);
    assert_eq!(long, row(&facts, "net.delay").availability);
}

#[test]
fn every_means_is_listed_with_what_it_lacks_and_the_first_without_is_taken() {
    let facts = Facts {
        tap: Answer::Yes,
        programs: vec![(Program::Tc, "/sbin/tc".into())],
        ..machine(v1(), no("no netem"), Answer::Yes)
    };
    let means = |fault: &str| -> Vec<(Backend, Option<String>)> {
        let candidates = row(&facts, fault).candidates;
        candidates
            .into_iter()
            .map(|candidate| (candidate.backend, candidate.obstacle))
            .collect()
    };
    let lacks = |what: &str| Some(what.to_owned());
    assert_eq!(means("cpu.quota"), [(CgroupQuota, None), (DutyCycle, None)]);
    assert_eq!(
        means("memory.limit"),
        [
            (
                MemoryHighSwap,
                lacks("the controllers here are those of cgroup v1")
            ),
            (
                MemoryHigh,
                lacks("the controllers here are those of cgroup v1")
            ),
            (MemoryLimitSwap, None),
            (MemoryLimit, None),
        ]
    );
    assert_eq!(
        means("net.delay"),
        [
            (Netem, lacks("no netem")),
            (DelayLine, None),
            (TapLine, None)
        ]
    );
    for wiring in [Wiring::Hub, Wiring::Direct, Wiring::Shared] {
        for row in check_table(&facts, wiring) {
            let listed = depbench_faults::list().into_iter();
            let listed: Vec<Backend> = listed
                .filter(|fault| fault.name == row.fault)
                .flat_map(|fault| fault.backends.to_vec())
                .collect();
            let candidates: Vec<Backend> = row.candidates.iter().map(|one| one.backend).collect();
            assert_eq!(candidates, listed, "{}", row.fault);
            let first = row.candidates.iter().find(|one| one.obstacle.is_none());
            match (&row.availability, first) {
                (Availability::Yes { backend, note }, Some(first)) => {
                    assert_eq!((*backend, note), (first.backend, &first.note));
                }
                (Availability::No { reason, .. }, None) => {
                    let mut obstacles = row.candidates.iter().flat_map(|one| &one.obstacle);
                    assert!(obstacles.all(|one| reason.contains(one)), "{reason}");
                }
                other => panic!("{}: {other:?}", row.fault),
            }
        }
    }
}

#[test]
fn the_kernel_delays_a_disk_where_its_timers_keep_the_delay() {
    let facts = |dm_delay, tick| Facts {
        dm_delay,
        fuse: Answer::Yes,
        tick: Span::millis(tick),
        ..machine(v2(), Answer::Yes, Answer::Yes)
    };
    let by = |fault: &str, facts: &Facts| {
        let kind = fault.parse().unwrap();
        match available(&kind, facts, Wiring::Hub) {
            Availability::Yes { backend, .. } => Ok(backend),
            Availability::No { reason, .. } => Err(reason),
        }
    };
    let fine = facts(Answer::Yes, 1);
    let coarse = facts(Answer::Yes, 4);
    assert_eq!(by("disk.latency=50ms", &fine), Ok(DmDelay));
    assert_eq!(by("disk.latency=50ms", &coarse), Ok(LatencyLayer));
    assert_eq!(by("disk.latency=1s", &fine), Ok(LatencyLayer));
    assert_eq!(
        by("disk.latency=delay=50ms,by=dm-delay", &coarse),
        Ok(DmDelay)
    );
    assert_eq!(
        by("disk.latency=delay=50ms,by=fuse", &fine),
        Ok(LatencyLayer)
    );
    let without = facts(no("has the kernel the module dm-delay?"), 1);
    assert_eq!(by("disk.latency=50ms", &without), Ok(LatencyLayer));
    let refused = by("disk.latency=delay=50ms,by=dm-delay", &without).unwrap_err();
    assert!(refused.contains("the module dm-delay"), "{refused}");
}
