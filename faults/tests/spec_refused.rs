//! What is wrong in the `faults:` part of an experiment file is refused at its field, with what was expected.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use depbench_faults::FaultSpec;
use vocab::problem::{FieldPath, Problems, Validate};

fn problems(text: &str) -> Vec<String> {
    let mut problems = Problems::default();
    let at = FieldPath::root().key("faults").index(0);
    let spec: FaultSpec = serde_yaml::from_str(text).unwrap();
    spec.validate(&at, &mut problems);
    let told = |p: vocab::problem::Problem| format!("{p} ({:?})", p.help);
    problems.into_vec().into_iter().map(told).collect()
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused_at_its_field() {
    for (schedule, field, message) in [
        (
            "{ramp: {from: {cpu.quota: {share: 50%}}, steps: 1}}",
            "ramp.steps",
            "from 2",
        ),
        (
            "{ramp: {from: {net.delay: {delay: 1ms}}, steps: 3}}",
            "ramp.from",
            "cannot grow",
        ),
        (
            "{ramp: {from: {cpu.quota: {share: 50%}}, steps: 9, over: 3s}}",
            "ramp.over",
            "1s each",
        ),
        (
            "{intermittent: {on: 100ms, off: 2s}}",
            "intermittent.on",
            "at least 1s",
        ),
        (
            "{intermittent: {on: 1s, off: 2s, jitter: 80%}}",
            "intermittent.jitter",
            "at most 50%",
        ),
    ] {
        let text = format!(
            "{{name: f, type: {{cpu.quota: {{share: 5%}}}}, on: {{node: s1}}, schedule: {schedule}}}"
        );
        let found = problems(&text);
        let wanted = format!("faults[0].schedule.{field}: ");
        assert!(
            found
                .iter()
                .any(|p| p.starts_with(&wanted) && p.contains(message)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused_at_its_field() {
    for (kind, on, field, message) in [
        (
            "cpu.quota: {share: 0%}",
            "node: s1",
            "type.cpu.quota.share",
            "process.pause",
        ),
        (
            "cpu.quota: {share: 100%}",
            "node: s1",
            "type.cpu.quota.share",
            "below 100%",
        ),
        (
            "memory.limit: {bytes: 0B}",
            "node: s1",
            "type.memory.limit.bytes",
            "at least 1MB",
        ),
        (
            "memory.contention: {bytes: 4KiB}",
            "node: s1",
            "type.memory.contention.bytes",
            "at least 1MiB",
        ),
        (
            "disk.throughput: {rate: 1KB/s}",
            "node: s1",
            "type.disk.throughput.rate",
            "4KiB/s to 100GB/s",
        ),
        (
            "disk.iops: {rate: 0.5/s}",
            "node: s1",
            "type.disk.iops.rate",
            "whole number",
        ),
        (
            "disk.contention: {block: 1000B}",
            "node: s1",
            "type.disk.contention.block",
            "multiple of 4KiB",
        ),
        (
            "disk.latency: {delay: 0s}",
            "node: s1",
            "type.disk.latency.delay",
            "at most 10s",
        ),
        (
            "disk.contention: {writers: 65}",
            "node: s1",
            "type.disk.contention.writers",
            "at most 64",
        ),
        (
            "net.delay: {delay: 0ms}",
            "node: s1",
            "type.net.delay.delay",
            "above 0s",
        ),
        (
            "net.delay: {delay: 1m}",
            "node: s1",
            "type.net.delay.delay",
            "at most 30s",
        ),
        (
            "net.delay: {delay: 5ms, jitter: 6ms}",
            "node: s1",
            "type.net.delay.jitter",
            "at most the delay",
        ),
        (
            "net.delay: {delay: 5ms, order: free}",
            "node: s1",
            "type.net.delay.order",
            "a `jitter` above 0s",
        ),
        (
            "net.delay: {delay: 5ms, jitter: 1ms, correlation: 100%}",
            "node: s1",
            "type.net.delay.correlation",
            "below 100%",
        ),
        (
            "net.loss: {share: 0%}",
            "node: s1",
            "type.net.loss.share",
            "above 0%",
        ),
        (
            "net.corrupt: {share: 100%}",
            "node: s1",
            "type.net.corrupt.share",
            "net.partition",
        ),
        (
            "net.duplicate: {share: 0%}",
            "node: s1",
            "type.net.duplicate.share",
            "above 0%",
        ),
        (
            "net.reorder: {share: 100%, delay: 1ms}",
            "node: s1",
            "type.net.reorder.share",
            "net.delay",
        ),
        (
            "net.reorder: {share: 1%, delay: 0s}",
            "node: s1",
            "type.net.reorder.delay",
            "above 0s",
        ),
        (
            "net.rate: {rate: 10B/s}",
            "node: s1",
            "type.net.rate.rate",
            "at least 1KB/s",
        ),
        (
            "net.rate: {rate: 1MB/s, queue: 1m}",
            "node: s1",
            "type.net.rate.queue",
            "at most 30s",
        ),
        (
            "process.kill: {restart: 0s}",
            "node: s1",
            "type.process.kill.restart",
            "above 0s",
        ),
        (
            "process.pause: {for: 1s}",
            "node: s1",
            "type.process.pause",
            "both",
        ),
        (
            "process.pause: {for: 2s, period: 1s}",
            "node: s1",
            "type.process.pause.for",
            "shorter than",
        ),
        (
            "process.pause: {for: 10us, period: 1s}",
            "node: s1",
            "type.process.pause.for",
            "at least 1ms",
        ),
        ("process.pause: {}", "{}", "on", "either"),
        (
            "cpu.quota: {share: 5%}",
            "{link: {from: s1, to: s2}}",
            "on",
            "go with network faults",
        ),
        (
            "net.delay: {delay: 1ms}",
            "{link: {from: s1, to: s1}}",
            "on.link.to",
            "itself",
        ),
        (
            "process.pause: {}",
            "{role: leader, node: s1}",
            "on",
            "either",
        ),
        (
            "process.pause: {}",
            "{node: s1, count: 2}",
            "on.count",
            "`role`",
        ),
        (
            "process.pause: {}",
            "{node: s1, resolve: track}",
            "on.resolve",
            "`role`",
        ),
    ] {
        let on = if on.starts_with('{') {
            on.to_owned()
        } else {
            format!("{{{on}}}")
        };
        let text = format!("{{name: f, type: {{{kind}}}, on: {on}}}");
        let found = problems(&text);
        let wanted = format!("faults[0].{field}: ");
        assert!(
            found
                .iter()
                .any(|p| p.starts_with(&wanted) && p.contains(message)),
            "{text}: {found:?}"
        );
    }
    let found =
        problems("{name: f, type: {process.pause: {}}, on: {role: leader}, during: warmup}");
    assert!(found[0].starts_with("faults[0].during: "), "{found:?}");
}

#[test]
fn what_cannot_be_read_is_refused_with_what_was_expected() {
    for (text, message) in [
        (
            "{name: f, type: {cpu.quoota: {share: 5%}}, on: {node: s1}}",
            "cpu.quota",
        ),
        (
            "{name: f, type: {cpu.quota: {share: 5}}, on: {node: s1}}",
            "such as 5%",
        ),
        (
            "{name: f, type: {cpu.quota: {share: 5%, cpu: 1}}, on: {node: s1}}",
            "share",
        ),
        (
            "{name: f, type: {net.loss: {share: 5ms}}, on: {node: s1}}",
            "such as 5%",
        ),
        (
            "{name: f, type: {net.delay: {delay: 5}}, on: {node: s1}}",
            "a time such as",
        ),
        (
            "{name: f, type: {net.rate: {rate: 10Mbit}}, on: {node: s1}}",
            "such as 128KB/s",
        ),
        (
            "{name: f, type: {net.partition: {direction: left}}, on: {node: s1}}",
            "both",
        ),
        (
            "{name: f, type: {process.pause: {}}, on: {role: leader, count: most}}",
            "minority",
        ),
        (
            "{name: f, type: {process.pause: {}}, on: {role: leader, count: 0}}",
            "minority",
        ),
        (
            "{name: f, type: {disk.throughput: {rate: 128KB}}, on: {node: s1}}",
            "bytes above zero per second, such as 128KB/s",
        ),
        (
            "{name: f, type: {disk.iops: {rate: 128KB/s}}, on: {node: s1}}",
            "a rate above zero per second, such as 5000/s",
        ),
        (
            "{name: f, type: {disk.contention: {sync: always}}, on: {node: s1}}",
            "direct",
        ),
        (
            "{name: f, type: {cpu.contention: {weight: 15x, threads: 0}}, on: {node: s1}}",
            "nonzero",
        ),
    ] {
        let error = serde_yaml::from_str::<FaultSpec>(text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}
