//! Detectors: what they find, and what they leave alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use depfast::detect::{
    Alert, CpuDetector, CpuTimes, Detector, Finding, Monitor, Observation, StallDetector,
    WaitDetector,
};
use depfast::sim::Sim;
use depfast::{Env, NodeId, QuorumEvent, ValueEvent, Verdict, real};

const PERIOD: Duration = Duration::from_millis(100);
const NODE: NodeId = NodeId(1);

/// Has a worker get the given parts of the CPU time that it wants, one per observation.
fn cpu_alerts(shares: &[f64]) -> Vec<Alert> {
    let sim = Sim::new(1);
    let alerts = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let found = std::rc::Rc::clone(&alerts);
    sim.start(NODE, |env| async move {
        Monitor::start(&env, PERIOD).register(CpuDetector::new(0.5, 3));
        loop {
            let seen = env.alerts().total();
            env.alerts().wait_past("alerts", seen).await;
            found.borrow_mut().extend(env.alerts().since(seen));
        }
    });
    sim.run_for(PERIOD / 2);
    for share in shares {
        let times = CpuTimes {
            running: PERIOD.mul_f64(*share),
            awake: PERIOD,
            queued: Duration::ZERO,
        };
        sim.spend_cpu(NODE, times);
        sim.run_for(PERIOD);
    }
    alerts.take()
}

#[test]
fn a_worker_that_is_kept_from_running_again_and_again_is_noticed() {
    assert_eq!(cpu_alerts(&[1.0, 0.9, 0.6, 0.5]), []);
    assert_eq!(cpu_alerts(&[0.1, 0.1, 1.0, 0.1, 0.1]), [], "hiccups");
    let alerts = cpu_alerts(&[1.0, 0.1, 0.2, 0.3, 0.1, 0.1]);
    let [alert] = &alerts[..] else {
        panic!("{alerts:?}")
    };
    assert_eq!((alert.detector.as_str(), alert.threshold), ("cpu", 0.5));
    assert!((alert.measured - 0.3).abs() < 1e-9, "{alert}");
    assert_eq!(cpu_alerts(&[0.1; 9]).len(), 3);
}

#[test]
fn a_worker_that_wants_little_misses_little() {
    let env = Sim::new(1).env();
    let seen = |awake: Duration| {
        let times = CpuTimes {
            running: PERIOD / 100,
            awake,
            queued: Duration::ZERO,
        };
        let mut detector = CpuDetector::new(0.5, 1);
        let trace = env.trace();
        let observation = Observation {
            now: env.now(),
            window: PERIOD,
            cpu: times,
            resident: 0,
            trace: &trace,
        };
        detector.observe(&observation).len()
    };
    assert_eq!((seen(PERIOD / 5), seen(PERIOD / 2)), (0, 1));
}

#[test]
fn a_real_worker_that_shares_its_cpu_with_many_is_noticed() {
    let mut cpus = nix::sched::CpuSet::new();
    let allowed = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    let first = (0..nix::sched::CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap());
    cpus.set(first.unwrap()).unwrap();
    let pin = move || nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpus).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let competitors: Vec<_> = (0..7)
        .map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                pin();
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let options = real::Options::new(directory.path());
    let alert = real::run(options, move |env| async move {
        pin();
        Monitor::start(&env, PERIOD).register(CpuDetector::default());
        let worker = env.clone();
        env.spawn(async move {
            loop {
                let start = worker.now();
                while worker.now() - start < Duration::from_millis(1) {}
                worker.yield_now().await;
            }
        });
        let alerts = env.alerts();
        let waiting = alerts.wait_past("alerts", 0);
        env.within("an alert", Duration::from_secs(60), waiting)
            .await;
        alerts.since(0).pop()
    });
    over.store(true, Ordering::Relaxed);
    for competitor in competitors {
        competitor.join().unwrap();
    }
    let alert = alert.unwrap().expect("the worker has an eighth of a CPU");
    assert_eq!(alert.detector, "cpu");
    assert!(alert.measured < 0.4, "{alert}");
}

/// Waits for quorums that take the given milliseconds each, one per observation, and returns the alerts.
fn wait_alerts(detector: WaitDetector, millis: impl IntoIterator<Item = u64>) -> Vec<Alert> {
    let sim = Sim::new(1);
    let env = sim.env();
    Monitor::start(&env, PERIOD).register(detector);
    for millis in millis {
        let (env, end) = (env.clone(), env.now() + PERIOD);
        env.clone().spawn(async move {
            let quorum = QuorumEvent::majority(&env, 1);
            let (done, timeout) = (
                quorum.clone(),
                env.timeout("work", Duration::from_millis(millis)),
            );
            env.spawn(async move {
                timeout.await;
                done.vote(NODE, Verdict::Accept);
            });
            quorum.wait("replication").await;
        });
        sim.run_for(end - sim.now());
    }
    sim.run_for(PERIOD);
    env.alerts().since(0)
}

#[test]
fn waits_that_suddenly_take_much_longer_are_noticed() {
    let usual = [3; 20];
    assert_eq!(
        wait_alerts(WaitDetector::default(), usual.into_iter().chain([20; 5])),
        []
    );
    assert_eq!(
        wait_alerts(
            WaitDetector::default(),
            usual.into_iter().chain([90, 90, 3, 3])
        ),
        []
    );
    let alerts = wait_alerts(WaitDetector::default(), usual.into_iter().chain([90; 4]));
    let [alert] = &alerts[..] else {
        panic!("{alerts:?}")
    };
    assert_eq!(alert.label, "replication (quorum 1/1)");
    assert!(alert.measured > 0.089 && alert.threshold > 0.029, "{alert}");
}

#[test]
fn a_limit_holds_from_the_first_wait_on() {
    let detector = || WaitDetector::default().with_limit("replication", Duration::from_millis(10));
    assert_eq!(wait_alerts(detector(), [9, 9, 9, 9]), []);
    assert_eq!(wait_alerts(detector(), [12; 3]).len(), 1);
}

#[test]
fn a_coroutine_that_is_stuck_is_named_once() {
    let sim = Sim::new(1);
    let env = sim.env();
    let monitor = Monitor::start(&env, PERIOD);
    monitor.register(StallDetector::of(Duration::from_secs(5), |wait| {
        wait.label != "requests"
    }));
    for label in ["requests", "a vote that never comes"] {
        let value = ValueEvent::new(&env, 0);
        env.spawn(async move { value.wait(label, |value| *value == 1).await });
    }
    sim.run_for(Duration::from_secs(4));
    assert_eq!(env.alerts().total(), 0);
    sim.run_for(Duration::from_secs(60));
    let labels: Vec<_> = env
        .alerts()
        .since(0)
        .into_iter()
        .map(|it| it.label)
        .collect();
    assert_eq!(labels, ["a vote that never comes (local)"]);
}

#[test]
fn a_closure_is_a_detector_and_alerts_are_bounded() {
    let sim = Sim::new(1);
    let env: Env = sim.env();
    let report = |seen: &Observation<'_>| {
        let finding = Finding {
            label: "age".to_owned(),
            measured: seen.now.as_nanos() as f64 / 1e9,
            threshold: 0.0,
        };
        vec![finding]
    };
    Monitor::start(&env, PERIOD).register(("own", report));
    sim.run_for(PERIOD * 1000 + PERIOD / 2);
    assert_eq!(env.alerts().total(), 1000);
    assert_eq!(env.alerts().since(998).len(), 2);
    let kept = env.alerts().since(0);
    assert_eq!(kept.len(), 256);
    assert_eq!(
        kept.last().unwrap().to_string(),
        "100.000000s own: age is 100.000, threshold 0.000"
    );
    let exported: Vec<Alert> = serde_json::from_str(&env.alerts().export()).unwrap();
    assert_eq!(exported, kept);
}
