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
