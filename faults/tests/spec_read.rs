//! What the `faults:` part of an experiment file says, and what is understood.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use depbench_faults::{FaultSpec, Resolve};
use vocab::ids::Phase;
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;

fn read(text: &str) -> FaultSpec {
    serde_yaml::from_str(text).unwrap()
}

fn is_right(spec: &FaultSpec) -> bool {
    let mut problems = Problems::default();
    spec.validate(&FieldPath::root(), &mut problems);
    problems.into_vec().is_empty()
}

#[test]
fn the_shape_of_the_design_is_read() {
    let spec = read(
        "{name: slow, type: {cpu.quota: {share: 5%}}, on: {role: follower, count: 1}, during: fault}",
    );
    assert_eq!(spec.kind.name(), "cpu.quota");
    assert_eq!(spec.during, Phase::Fault);
    assert_eq!(spec.on.resolve, Resolve::Once);
    assert!(is_right(&read(
        "{name: s, type: {cpu.quota: {share: 5%}}, on: {node: s2}}"
    )));
}

#[test]
fn every_type_is_read_and_written_back() {
    for kind in [
        "cpu.quota: {share: 50%}",
        "cpu.contention: {weight: 15x}",
        "cpu.contention: {weight: 1x, threads: 4}",
        "memory.limit: {bytes: 50MB}",
        "memory.limit: {bytes: 50MB, swap: none}",
        "memory.contention: {bytes: 1GiB}",
        "memory.contention: {bytes: 64MiB, rate: 1GB/s}",
        "disk.throughput: {rate: 128KB/s}",
        "disk.iops: {rate: 50/s}",
        "disk.contention: {}",
        "disk.latency: {delay: 50ms}",
        "disk.latency: {delay: 5ms, on: all}",
        "disk.latency: {delay: 5ms, by: dm-delay}",
        "disk.contention: {writers: 4, block: 64KiB, sync: fsync}",
        "net.delay: {delay: 40ms}",
        "net.delay: {delay: 400ms, jitter: 10ms}",
        "net.delay: {delay: 9ms, jitter: 1ms, distribution: pareto, correlation: 25%, order: free}",
        "net.loss: {share: 0.5%, correlation: 50%}",
        "net.reorder: {share: 5%, delay: 10ms}",
        "net.duplicate: {share: 100%}",
        "net.corrupt: {share: 1%}",
        "net.rate: {rate: 128KB/s, queue: 1s}",
        "net.partition: {}",
        "net.partition: {direction: in}",
        "process.kill: {}",
        "process.kill: {signal: term, restart: 3s}",
        "process.pause: {}",
        "process.pause: {for: 100ms, period: 1s}",
    ] {
        let text = format!("{{name: f, type: {{{kind}}}, on: {{role: leader}}}}");
        let spec = read(&text);
        assert!(is_right(&spec), "{kind}");
        let again: FaultSpec = serde_yaml::from_str(&serde_yaml::to_string(&spec).unwrap())
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(again, spec);
    }
}

#[test]
fn offsets_are_within_the_phase() {
    let spec = read("{name: f, type: {process.pause: {}}, on: {role: leader}, at: 2s, for: 5s}");
    let found = spec.stretches(Span::seconds(20), 1);
    let times: Vec<_> = found
        .iter()
        .map(|one| (one.begin.as_secs(), one.end.as_secs()))
        .collect();
    assert_eq!(times, [(2, 7)]);
    assert_eq!(spec.exceeds(Span::seconds(7)), None);
    assert!(spec.exceeds(Span::seconds(6)).unwrap().contains("needs 7s"));
    let again: FaultSpec = serde_yaml::from_str(&serde_yaml::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
}
