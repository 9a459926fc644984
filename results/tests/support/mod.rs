//! A run written through the real writer.

use std::collections::BTreeMap;
use std::path::Path;

use crate::results::*;
use vocab::ids::{CellId, Phase, TrialId};
use vocab::time::{TrialTime, Wall};
use vocab::units::Span;

pub(crate) fn environment() -> Environment {
    Environment {
        run: "slow-follower-20261120T101502Z".parse().unwrap(),
        experiment: "slow-follower".parse().unwrap(),
        began: Wall::from_unix_nanos(1_795_000_000_123_456_789),
        seed: 42,
        command: vec!["depbench".to_owned(), "run".to_owned()],
        program: Program {
            version: "0.1.0".to_owned(),
            hash: "sha256:00".to_owned(),
        },
        provider: "local".to_owned(),
        limitations: vec!["no CPU budgets: not root".to_owned()],
        machines: Vec::new(),
        nodes: Vec::new(),
        versions: BTreeMap::new(),
    }
}

pub(crate) fn run(dir: &Path) -> RunDir {
    RunDir::create(&dir.join("run"), "name: slow-follower\n", &environment()).unwrap()
}

pub(crate) fn setup(cell: &str, number: u32) -> TrialSetup {
    TrialSetup {
        id: TrialId {
            cell: CellId::new(cell),
            number,
        },
        cell_index: 0,
        target: "etcd".to_owned(),
        parameters: Parameters::new(),
        seed: 7,
        phases: PhaseSpan::in_turn([
            (Phase::Baseline, Span::seconds(4)),
            (Phase::Fault, Span::seconds(2)),
            (Phase::Recovery, Span::seconds(3)),
        ]),
    }
}

pub(crate) fn seconds(seconds: f64) -> TrialTime {
    TrialTime::from_nanos((seconds * 1e9).round() as i64)
}

pub(crate) fn wall() -> Wall {
    Wall::from_unix_nanos(1_795_000_001_000_000_001)
}

pub(crate) fn event(at: f64, kind: EventKind) -> Event {
    Event::new(seconds(at), wall(), kind)
}

/// A second of writes with the given latencies.
pub(crate) fn second(phase: Phase, start: f64, micros: &[u64]) -> Interval {
    let mut interval = Interval::new(phase, seconds(start), Span::seconds(1), OpKind::Write);
    for one in micros {
        interval.latency.record_micros(*one);
    }
    interval.ok = micros.len() as u64;
    interval
}
