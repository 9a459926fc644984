//! The statistics against values computed by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

mod support;

use depbench_results as results;

use proptest::prelude::*;
use results::stats::{Analysis, Ops, Recovery, TrialData};
use results::*;
use support::*;
use vocab::ids::Phase;
use vocab::units::Span;

/// A second with `count` writes of a millisecond.
fn with_count(phase: Phase, start: f64, count: usize) -> Interval {
    second(phase, start, &vec![1000; count])
}

fn write_trial(run: &RunDir, number: u32, rates: [usize; 9], validity: Validity) {
    let mut writer = run.trial(setup("etcd", number), wall()).unwrap();
    for (index, count) in rates.into_iter().enumerate() {
        let phase = match index {
            0..4 => Phase::Baseline,
            4..6 => Phase::Fault,
            _ => Phase::Recovery,
        };
        writer
            .interval(&with_count(phase, index as f64, count))
            .unwrap();
    }
    for (at, kind) in [
        (1.0, EventKind::LeaderChanged),
        (4.1, EventKind::FaultEffective),
        (4.85, EventKind::LeaderChanged),
        (6.0, EventKind::FaultCleared),
    ] {
        writer.event(&event(at, kind)).unwrap();
    }
    writer.finish(validity, wall()).unwrap();
}

#[test]
fn one_trial_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    // Baseline: mean 100, standard deviation sqrt(200/3) = 8.16; recovered above 91.84.
    write_trial(
        &run,
        1,
        [90, 100, 110, 100, 0, 0, 0, 91, 92],
        Validity::Valid,
    );
    let analysis = Analysis::of(&run).unwrap();
    let trial = &analysis.cells[0].trials[0];
    let baseline = trial.phase(Phase::Baseline, Ops::All).unwrap();
    assert_eq!((baseline.n, baseline.rps), (400, 100.0));
    assert_eq!(baseline.latency.unwrap().p99, 1.0);
    assert_eq!(trial.phase(Phase::Fault, Ops::All).unwrap().latency, None);
    let effects = &trial.effects;
    assert_eq!(effects.degradation, Some(1.0));
    assert_eq!(effects.recovery, Recovery::After(Span::seconds(2)));
    assert_eq!(effects.unavailable.len(), 1);
    assert_eq!(effects.unavailable[0].start, seconds(4.0));
    assert_eq!(effects.unavailable_for(), Span::seconds(3));
    assert_eq!(effects.leader_changes, 2);
    assert_eq!(effects.time_to_leader_change, Some(Span::millis(750)));
}

#[test]
fn what_is_not_back_is_not_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    write_trial(
        &run,
        1,
        [100, 100, 100, 100, 50, 50, 60, 70, 80],
        Validity::Valid,
    );
    let effects = &Analysis::of(&run).unwrap().cells[0].trials[0].effects;
    assert_eq!(effects.recovery, Recovery::NotWithin(Span::seconds(3)));
    assert!(effects.unavailable.is_empty());
}

#[test]
fn windows_are_compared_in_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    let mut at = 0.0;
    let mut seconds_of = |writer: &mut TrialWriter, phase, counts: &[usize], micros: u64| {
        for count in counts {
            let interval = second(phase, at, &vec![micros; *count]);
            writer.interval(&interval).unwrap();
            at += 1.0;
        }
        at
    };
    seconds_of(&mut writer, Phase::Baseline, &[77, 77], 9000);
    // The throughput drifts upwards by a half; with the faults it is a tenth less, and p99 doubled.
    let mut start = 2.0;
    for pair in 1..=3 {
        let free = 100 + 50 * (pair - 1);
        for (what, counts, micros) in [
            ("fault-free", [free, free], 1000),
            ("fault", [free * 9 / 10, free * 9 / 10], 2000),
        ] {
            // The one who tells of windows is a little late.
            let told = event(start + 0.012, EventKind::WindowStarted);
            writer
                .event(&told.saying(format!("{what} {pair}")))
                .unwrap();
            start = seconds_of(&mut writer, Phase::Fault, &counts, micros);
        }
    }
    seconds_of(&mut writer, Phase::Recovery, &[500], 1000);
    writer.finish(Validity::Valid, wall()).unwrap();

    let analysis = Analysis::of(&run).unwrap();
    let cell = &analysis.cells[0];
    let pairs = &cell.trials[0].pairs;
    let shown: Vec<_> = pairs
        .iter()
        .map(|pair| (pair.free.rps, pair.fault.rps))
        .collect();
    assert_eq!(shown, [(100.0, 90.0), (150.0, 135.0), (200.0, 180.0)]);
    let tolerance = cell.tolerance.unwrap();
    assert_eq!(tolerance.pairs, 3);
    let (rps, p99) = (tolerance.rps.unwrap(), tolerance.p99.unwrap());
    assert!(
        (rps.median - 0.9).abs() < 1e-9 && rps.interval == Some((0.9, 0.9)),
        "{rps:?}"
    );
    assert!((p99.median - 2.0).abs() < 0.01, "{p99:?}");
    // What mixes windows with and without the faults is compared with nothing.
    assert_eq!(cell.phase(Phase::Fault).unwrap().rps_ratio, None);
    assert_eq!(cell.trials[0].effects.degradation, None);

    write_tables(&run, &analysis).unwrap();
    let text = std::fs::read_to_string(run.path().join("tolerance.csv")).unwrap();
    assert!(
        text.lines()
            .nth(1)
            .unwrap()
            .contains(",3,0.9000,0.9000,0.9000,"),
        "{text}"
    );
    let pairs = std::fs::read_to_string(run.path().join("pairs.csv")).unwrap();
    assert_eq!(pairs.lines().count(), 4);
    assert!(table::text(&analysis).contains("3 pairs: throughput 0.90x"));
}

#[test]
fn invalid_trials_are_listed_and_never_averaged() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let steady = |baseline, fault| {
        [
            baseline, baseline, baseline, baseline, fault, fault, 10, 10, 10,
        ]
    };
    write_trial(&run, 1, steady(100, 50), Validity::Valid);
    write_trial(&run, 2, steady(200, 180), Validity::Valid);
    write_trial(&run, 3, steady(10, 6), Validity::Valid);
    let reason = "fault `slow` had no effect: CPU share stayed at 60%".to_owned();
    write_trial(
        &run,
        4,
        steady(1, 999),
        Validity::Invalid {
            reason: reason.clone(),
        },
    );
    let analysis = Analysis::of(&run).unwrap();
    let fault = analysis.cells[0].phase(Phase::Fault).unwrap();
    assert_eq!(
        (fault.rps.median, fault.rps.min, fault.rps.max),
        (50.0, 6.0, 180.0)
    );
    let ratio = fault.rps_ratio.unwrap();
    assert_eq!((ratio.median, ratio.interval), (0.6, Some((0.5, 0.9))));
    assert_eq!(analysis.cells[0].invalid(), [(4, reason.clone())]);

    let text = table::text(&analysis);
    assert!(
        text.contains(&format!("etcd, trial 4  invalid: {reason}")),
        "{text}"
    );
    assert!(text.contains("0.60x [0.50, 0.90]"), "{text}");
    assert!(text.contains("note: no CPU budgets"), "{text}");

    write_tables(&run, &analysis).unwrap();
    let trials = std::fs::read_to_string(run.path().join("trials.csv")).unwrap();
    assert!(
        trials
            .lines()
            .any(|line| line.contains(",4,fault,all,") && line.contains(",false,fault `slow`")),
        "{trials}"
    );
    let summary = std::fs::read_to_string(run.path().join("summary.csv")).unwrap();
    assert!(
        summary.contains("etcd,etcd,{},fault,all,3,1,472,0,50.0,6.0,180.0,1.000"),
        "{summary}"
    );
    assert!(summary.contains(",0.6000,0.5000,0.9000,"), "{summary}");
    let effects = std::fs::read_to_string(run.path().join("effects.csv")).unwrap();
    assert_eq!(effects.lines().count(), 5);
}

#[test]
fn the_kinds_of_a_mix_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    for start in 0..2 {
        writer
            .interval(&second(Phase::Baseline, f64::from(start), &[1000; 10]))
            .unwrap();
        let mut reads = second(Phase::Baseline, f64::from(start), &[3000; 30]);
        reads.op = OpKind::Read;
        writer.interval(&reads).unwrap();
    }
    writer.finish(Validity::Valid, wall()).unwrap();
    let analysis = Analysis::of(&run).unwrap();
    let phase = |ops| {
        analysis.cells[0].trials[0]
            .phase(Phase::Baseline, ops)
            .unwrap()
    };
    assert_eq!(phase(Ops::All).rps, 40.0);
    assert_eq!(phase(Ops::Only(OpKind::Read)).rps, 30.0);
    assert_eq!(phase(Ops::Only(OpKind::Write)).latency.unwrap().p50, 1.0);
    assert_eq!(
        (phase(Ops::All).latency.unwrap().p50 * 100.0).round(),
        300.0
    );
    let trial = TrialData::load(&run.trials().unwrap()[0]).unwrap();
    assert_eq!(trial.slots.len(), 2);
    assert_eq!((trial.slots[0].p50_ms.unwrap() * 100.0).round(), 300.0);
}

proptest! {
    #[test]
    fn merging_does_not_depend_on_order_and_equals_recording_at_once(
        parts in proptest::collection::vec(proptest::collection::vec(1u64..70_000_000, 0..40), 1..8)
    ) {
        let merge = |parts: &mut dyn Iterator<Item = &Vec<u64>>| {
            let mut all = Latency::new();
            for part in parts {
                let mut one = Latency::new();
                part.iter().for_each(|micros| one.record_micros(*micros));
                all.merge(&one);
            }
            all
        };
        let forward = merge(&mut parts.iter());
        prop_assert_eq!(&forward, &merge(&mut parts.iter().rev()));
        let flat: Vec<u64> = parts.concat();
        prop_assert_eq!(&forward, &merge(&mut std::iter::once(&flat)));
        prop_assert_eq!(&forward, &Latency::decode(&forward.encode()).unwrap());
    }
}
