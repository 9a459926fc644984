//! Damaged files are errors, never panics.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

mod support;

use depbench_results as results;

use std::fs;

use base64::Engine as _;
use hdrhistogram::serialization::{Serializer as _, V2Serializer};
use proptest::prelude::*;
use results::stats::{Analysis, TrialData};
use results::*;
use support::*;
use vocab::ids::Phase;

const FILES: [&str; 6] = [
    "intervals.csv",
    "latency.hlog",
    "events.csv",
    "nodes.csv",
    "probes.csv",
    "trial.json",
];

/// A run with one trial that has a line in every file.
fn written(dir: &std::path::Path) -> RunDir {
    let run = run(dir);
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    writer
        .interval(&second(Phase::Baseline, 0.0, &[1000, 2000]))
        .unwrap();
    writer
        .event(&event(0.5, EventKind::FaultEffective))
        .unwrap();
    let sample = NodeSample::new(seconds(0.5), "s1".parse().unwrap(), SampleScope::Node);
    writer.sample(&sample).unwrap();
    let fault = "slow".parse().unwrap();
    let node = "s1".parse().unwrap();
    let (moment, probe, unit) = (ProbeMoment::After, "rtt".to_owned(), "ms".to_owned());
    writer
        .probe(&ProbeReading {
            at: seconds(1.0),
            fault,
            node,
            moment,
            probe,
            value: 1.5,
            unit,
        })
        .unwrap();
    writer.finish(Validity::Valid, wall()).unwrap();
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_is_an_error_or_reads_otherwise(
        file in 0..FILES.len(), at in any::<prop::sample::Index>(), bytes in proptest::collection::vec(any::<u8>(), 1..6)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let run = written(dir.path());
        let path = run.path().join("trials/etcd/1").join(FILES[file]);
        let mut content = fs::read(&path).unwrap();
        let at = at.index(content.len());
        let end = (at + bytes.len()).min(content.len());
        content.splice(at..end, bytes);
        fs::write(&path, content).unwrap();
        if let Ok(trials) = run.trials() {
            let _ = trials.iter().map(TrialData::load).collect::<Vec<_>>();
        }
        let _ = Analysis::of(&run).map(|analysis| table::text(&analysis));
    }

    #[test]
    fn a_damaged_histogram_is_an_error_or_another_histogram(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut latency = Latency::new();
        (1..200).for_each(|step| latency.record_micros(step * 37));
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(latency.histogram(), &mut bytes).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Latency::decode(&base64::engine::general_purpose::STANDARD.encode(bytes));
    }
}
