//! What is written is read back, at every moment and after every way of dying.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

mod support;

use depbench_results as results;

use std::fs;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use results::stats::{Analysis, TrialData};
use results::*;
use support::*;
use vocab::ids::Phase;
use vocab::time::Monotonic;

fn fill(writer: &mut TrialWriter) {
    writer
        .load_started(LoadStart {
            wall: wall(),
            monotonic: Monotonic::from_nanos(5),
        })
        .unwrap();
    let nasty = event(-0.5, EventKind::Warning)
        .on("s1".parse().unwrap())
        .saying("a \"quoted\", odd\nword");
    writer.event(&nasty).unwrap();
    for number in 0..4 {
        let mut interval = second(Phase::Baseline, f64::from(number), &[1000, 2000, 3000]);
        interval.errors.insert(ErrorKind::Timeout, 2);
        let mut sample =
            NodeSample::new(interval.start, "s1".parse().unwrap(), SampleScope::Server);
        sample.cpu_ns = Some(u64::MAX);
        writer.sample(&sample).unwrap();
        writer.history("{\"op\": 1}\n").unwrap();
        writer.interval(&interval).unwrap();
    }
    writer
        .probe(&ProbeReading {
            at: seconds(1.5),
            fault: "slow".parse().unwrap(),
            node: "s1".parse().unwrap(),
            moment: ProbeMoment::During,
            probe: "cpu_share".to_owned(),
            value: 0.05,
            unit: "of a CPU".to_owned(),
        })
        .unwrap();
}

#[test]
fn a_finished_trial_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd,share=5%", 2), wall()).unwrap();
    fill(&mut writer);
    let log = writer.log_path(&"s1".parse().unwrap(), "../server");
    assert!(log.ends_with("logs/s1-___server.log"), "{log:?}");
    writer.finish(Validity::Valid, wall()).unwrap();

    let run = RunDir::open(run.path()).unwrap();
    assert_eq!(run.environment(), &environment());
    assert_eq!(run.experiment_yaml(), "name: slow-follower\n");
    assert_eq!(
        run.completed_trials().unwrap()[0].setup,
        setup("etcd,share=5%", 2)
    );
    let trial = TrialData::load(&run.trials().unwrap()[0]).unwrap();
    assert_eq!(
        trial.record.load.unwrap().monotonic,
        Monotonic::from_nanos(5)
    );
    assert_eq!(trial.intervals.len(), 4);
    assert_eq!(trial.intervals[1].start, seconds(1.0));
    assert_eq!(trial.intervals[1].errors[&ErrorKind::Timeout], 2);
    assert_eq!(trial.intervals[1].p50_ms, Some(2.0));
    assert_eq!(
        trial.latencies[&(Phase::Baseline, OpKind::Write)].count(),
        12
    );
    assert_eq!(
        trial.slots[3].p99_ms.map(|ms| (ms * 100.0).round()),
        Some(300.0)
    );
    assert_eq!(trial.events[0].detail, "a \"quoted\", odd word");
    assert_eq!(trial.events[0].at, seconds(-0.5));
    assert_eq!(trial.events[0].wall, wall());
    assert_eq!(trial.samples[3].cpu_ns, Some(u64::MAX));
    assert_eq!(trial.samples[3].throttled_ns, None);
    assert_eq!(trial.probes[0].value, 0.05);
    let history =
        fs::read_to_string(run.trials().unwrap()[0].path().join("history.jsonl")).unwrap();
    assert_eq!(history, "{\"op\": 1}\n".repeat(4));
}

#[test]
fn nothing_up_to_the_last_interval_is_lost_with_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    fill(&mut writer);
    // Neither flushed nor finished any further: as after kill -9.
    std::mem::forget(writer);

    let trial = TrialData::load(&run.trials().unwrap()[0]).unwrap();
    assert_eq!(trial.intervals.len(), 4);
    assert_eq!(trial.samples.len(), 4);
    assert_eq!(trial.events.len(), 1);
    assert_eq!(trial.probes.len(), 1);
    assert!(
        trial
            .record
            .validity()
            .reason()
            .unwrap()
            .contains("incomplete")
    );
    assert!(run.completed_trials().unwrap().is_empty());
    let analysis = Analysis::of(&run).unwrap();
    assert!(analysis.cells[0].phases.is_empty());
    assert!(table::text(&analysis).contains("etcd, trial 1  invalid: incomplete"));
}

#[test]
fn every_cut_of_a_file_reads_as_a_beginning_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    fill(&mut writer);
    drop(writer);
    let trial = run.trials().unwrap().remove(0);
    let whole = TrialData::load(&trial).unwrap();
    for name in [
        "intervals.csv",
        "latency.hlog",
        "events.csv",
        "nodes.csv",
        "probes.csv",
    ] {
        let path = trial.path().join(name);
        let bytes = fs::read(&path).unwrap();
        for length in (0..bytes.len()).step_by(3) {
            fs::write(&path, &bytes[..length]).unwrap();
            let cut = TrialData::load(&trial)
                .unwrap_or_else(|error| panic!("{name} at {length}: {error}"));
            assert!(whole.intervals.starts_with(&cut.intervals));
            assert!(whole.events.starts_with(&cut.events));
            assert!(whole.samples.starts_with(&cut.samples));
            assert!(whole.probes.starts_with(&cut.probes));
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn an_incomplete_trial_is_begun_anew_and_a_complete_one_never() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    fill(&mut writer);
    drop(writer);
    let writer = run.trial(setup("etcd", 1), wall()).unwrap();
    assert!(run.trials().unwrap()[0].intervals().unwrap().is_empty());
    writer
        .finish(
            Validity::Invalid {
                reason: "no effect".to_owned(),
            },
            wall(),
        )
        .unwrap();
    let error = run.trial(setup("etcd", 1), wall()).map(|_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("run/trials/etcd/1 holds a complete trial"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_is_said_with_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let again = RunDir::create(run.path(), "", &environment()).unwrap_err();
    assert!(again.to_string().contains("--resume"), "{again}");
    let none = RunDir::open(dir.path()).unwrap_err();
    assert!(
        none.to_string()
            .contains("holds no run: it has no experiment.yaml"),
        "{none}"
    );
    let mut out = setup("x", 1);
    out.id.cell = serde_json::from_str("\"..\"").unwrap();
    assert!(run.trial(out, wall()).is_err());

    // A file where the directory should be: as good as an unwritable directory, for root too.
    fs::remove_dir(run.path().join("trials")).unwrap();
    fs::write(run.path().join("trials"), "").unwrap();
    let error = run.trial(setup("etcd", 1), wall()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("run/trials/etcd/1"), "{error}");
}

#[test]
fn a_wrong_line_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    fill(&mut writer);
    drop(writer);
    let trial = run.trials().unwrap().remove(0);
    let path = trial.path().join("intervals.csv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("write", "dance", 1)).unwrap();
    let error = trial.intervals().unwrap_err().to_string();
    assert!(
        error.contains("intervals.csv, line 2: `dance` cannot stand in column `operation`"),
        "{error}"
    );
}

#[test]
fn the_latency_log_is_one_that_any_hdrhistogram_tool_reads() {
    let dir = tempfile::tempdir().unwrap();
    let run = run(dir.path());
    let mut writer = run.trial(setup("etcd", 1), wall()).unwrap();
    fill(&mut writer);
    drop(writer);
    let bytes = fs::read(run.trials().unwrap()[0].path().join("latency.hlog")).unwrap();
    let intervals: Vec<_> = IntervalLogIterator::new(&bytes)
        .filter_map(|entry| match entry.unwrap() {
            LogEntry::Interval(line) => Some(line),
            _ => None,
        })
        .collect();
    assert_eq!(intervals.len(), 4);
    assert_eq!(intervals[2].tag().unwrap().as_str(), "baseline/write");
    assert_eq!(intervals[2].start_timestamp().as_secs_f64(), 2.0);
    let encoded = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        intervals[2].encoded_histogram(),
    )
    .unwrap();
    let histogram: Histogram<u64> = Deserializer::new()
        .deserialize(&mut encoded.as_slice())
        .unwrap();
    assert_eq!(histogram.len(), 3);
    assert_eq!(histogram.value_at_quantile(0.5), 2000);
}
