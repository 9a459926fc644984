//! The `faults:` part of the experiment file.

mod count;
mod disk;
mod kill;
mod kind;
mod memory;
mod net;
mod place;
mod ramp;
mod schedule;
mod spelling;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocab::ids::{FaultName, Phase};
use vocab::problem::{FieldPath, Problems, Validate};
use vocab::units::Span;

pub use count::Count;
pub use disk::{
    DelayedOperations, DiskContention, DiskIops, DiskLatency, DiskThroughput, WriteSync,
};
pub use kill::{KillSignal, ProcessKill};
pub use kind::{CpuContention, CpuQuota, FaultType, ProcessPause};
pub use memory::{MemoryContention, MemoryLimit, Swap};
pub use net::{
    Direction, Distribution, NetCorrupt, NetDelay, NetDuplicate, NetLoss, NetPartition, NetRate,
    NetReorder, Order,
};
pub use place::{ClientTraffic, Link, Place, PlaceError, Resolve};
pub use schedule::{Intermittent, Ramp, Schedule, Stretch};
pub use spelling::SpellingError;

/// A fault of the experiment: what, where, when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// How sweeps, tables and figures call it.
    pub name: FaultName,
    /// What makes the node slow, with its parameters.
    #[serde(rename = "type")]
    pub kind: FaultType,
    /// The node or nodes that become slow.
    pub on: Place,
    /// The phase it is in for: injected when the phase starts, cleared when it ends.
    #[serde(default = "fault_phase")]
    pub during: Phase,
    /// It is injected this long after the start of its phase.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at: Span,
    /// It is cleared this long after its start; without it at the end of its phase.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// How it goes on within this time.
    #[serde(default, skip_serializing_if = "is_step")]
    pub schedule: Schedule,
}

fn is_zero(span: &Span) -> bool {
    *span == Span::ZERO
}

fn is_step(schedule: &Schedule) -> bool {
    *schedule == Schedule::Step
}

impl FaultSpec {
    /// When it is in, from the start of its phase, which lasts `phase`; in the order of time. The same seed draws the same.
    pub fn stretches(&self, phase: Span, seed: u64) -> Vec<Stretch> {
        let begin = self.at.duration().min(phase.duration());
        let end = match self.length {
            Some(length) => (begin + length.duration()).min(phase.duration()),
            None => phase.duration(),
        };
        self.schedule.stretches(&self.kind, begin, end, seed)
    }

    /// Whether its phase is too short for it; the reason if so.
    pub fn exceeds(&self, phase: Span) -> Option<String> {
        let shortest = self.schedule.shortest().max(SHORTEST);
        let length = self.length.unwrap_or(shortest).max(shortest);
        let needed = Span::from(self.at.duration().saturating_add(length.duration()));
        (needed > phase).then(|| {
            format!(
                "`{}` needs {needed} of phase `{}`, which lasts {phase}",
                self.name, self.during
            )
        })
    }

    /// Whether it is in from the start of its phase to the end.
    pub fn is_plain(&self) -> bool {
        self.at == Span::ZERO && self.length.is_none() && self.schedule == Schedule::Step
    }
}

/// The shortest time a fault can be in and be probed.
const SHORTEST: Span = Span::seconds(1);

fn fault_phase() -> Phase {
    Phase::Fault
}

impl Validate for FaultSpec {
    fn validate(&self, at: &FieldPath, problems: &mut Problems) {
        self.kind.validate(&at.key("type"), problems);
        self.on.validate(&at.key("on"), problems);
        if self.on.is_of_the_network() && !self.kind.is_of_the_network() {
            problems.add(
                at.key("on"),
                format!(
                    "{} makes a node slow, not a link: `link` and `clients` go with network faults",
                    self.kind.name()
                ),
            );
        }
        self.schedule
            .validate(&self.kind, &at.key("schedule"), problems);
        if let Some(length) = self.length.filter(|length| *length < SHORTEST) {
            problems.add(
                at.key("for"),
                format!("{length} is too short to be felt, expected at least {SHORTEST}"),
            );
        }
        if matches!(self.during, Phase::Warmup | Phase::Baseline) {
            problems.add_with_help(
                at.key("during"),
                format!(
                    "a fault during `{}` leaves nothing to compare with, expected `fault` or `recovery`",
                    self.during
                ),
                "write `during: fault`, or leave it out",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> FaultSpec {
        serde_yaml::from_str(text).unwrap()
    }

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Problems::default();
        let at = FieldPath::root().key("faults").index(0);
        read(text).validate(&at, &mut problems);
        let told = |p: vocab::problem::Problem| format!("{p} ({:?})", p.help);
        problems.into_vec().into_iter().map(told).collect()
    }

    #[test]
    fn the_shape_of_the_design_is_read() {
        let spec = read(
            "{name: slow, type: {cpu.quota: {share: 5%}}, on: {role: follower, count: 1}, during: fault}",
        );
        assert_eq!(spec.kind.name(), "cpu.quota");
        assert_eq!(spec.during, Phase::Fault);
        assert_eq!(spec.on.resolve, Resolve::Once);
        assert!(problems("{name: s, type: {cpu.quota: {share: 5%}}, on: {node: s2}}").is_empty());
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
            assert!(problems(&text).is_empty(), "{kind}: {:?}", problems(&text));
            let again: FaultSpec = serde_yaml::from_str(&serde_yaml::to_string(&spec).unwrap())
                .unwrap_or_else(|error| panic!("{kind}: {error}"));
            assert_eq!(again, spec);
        }
    }

    #[test]
    fn offsets_are_within_the_phase() {
        let spec =
            read("{name: f, type: {process.pause: {}}, on: {role: leader}, at: 2s, for: 5s}");
        let found = spec.stretches(Span::seconds(20), 1);
        let times: Vec<_> = found
            .iter()
            .map(|one| (one.begin.as_secs(), one.end.as_secs()))
            .collect();
        assert_eq!(times, [(2, 7)]);
        assert_eq!(spec.exceeds(Span::seconds(7)), None);
        assert!(spec.exceeds(Span::seconds(6)).unwrap().contains("needs 7s"));
        let again: FaultSpec =
            serde_yaml::from_str(&serde_yaml::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
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
}
