//! CPU faults on real processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{
    Rig, busy, has_cgroups, idle, kind, measure, pinned, probe_until, state, until_gone, value,
};
use depbench_faults::{Backend, Effect, Fault, FaultError, Probe, Reading, effect};
use node::cgroup::{Child, Scope};

/// Keeps the busy servers of two tests from taking each other's CPU.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sleep(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

#[test]
fn a_quota_holds_a_busy_server_at_its_share_and_is_restored() {
    if !has_cgroups("cpu quota") {
        return;
    }
    let _alone = alone();
    let mut rig = Rig::with_budget(0.5);
    rig.serve(busy());
    let quota = kind("{cpu.quota: {share: 20%}}");
    let mut fault = Fault::prepare(&quota, &rig.context()).unwrap();
    assert_eq!(fault.backend(), Backend::CgroupQuota);
    let before = fault.probe().unwrap();
    let standing = rig.standing();

    let injected = fault.inject().unwrap();
    assert!(
        injected.detail.contains("0.1 CPUs in periods of 100ms"),
        "{}",
        injected.detail
    );
    // It wants more, and never gets more than a slice beyond its share; how much of that depends on the rest of the machine.
    let during = probe_until(&mut fault, "the share", |during| {
        effect(&quota, &before, during) == Effect::Bit
            && (1.0..=23.0).contains(&value(during, Probe::CpuShare))
    });
    println!("cgroup quota 20% of 0.5 CPU: before {before:?} during {during:?}");
    assert_eq!(value(&during, Probe::ServerProcesses), 1.0);

    assert!(matches!(fault.inject(), Err(FaultError::AlreadyIn { .. })));
    fault.clear().unwrap();
    fault.clear().unwrap();
    assert_eq!(rig.standing(), standing);
    until_gone(&mut fault, &before);
}

#[test]
fn a_quota_on_an_idle_server_is_reported_as_without_effect() {
    if !has_cgroups("cpu quota on an idle server") {
        return;
    }
    let mut rig = Rig::with_budget(0.5);
    rig.serve(idle());
    let quota = kind("{cpu.quota: {share: 20%}}");
    let mut fault = Fault::prepare(&quota, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    let during = fault.probe().unwrap();
    let effect = effect(&quota, &before, &during);
    assert!(
        matches!(&effect, Effect::WithoutEffect { reason } if reason.contains("never wanted")),
        "{effect}"
    );
}

#[test]
fn without_cgroups_a_duty_cycle_holds_the_share() {
    let _alone = alone();
    let mut rig = Rig::bare();
    let server = rig.serve(busy());
    let mut context = rig.context();
    // A machine of one CPU, whatever runs these tests.
    context.facts.cpus = 1;
    let quota = kind("{cpu.quota: {share: 10%}}");
    let mut fault = Fault::prepare(&quota, &context).unwrap();
    assert_eq!(fault.backend(), Backend::DutyCycle);
    let before = fault.probe().unwrap();
    let standing = rig.standing();
    fault.inject().unwrap();
    let during = probe_until(&mut fault, "the share", |during| {
        effect(&quota, &before, during) == Effect::Bit
            && (1.0..=12.5).contains(&value(during, Probe::CpuShare))
            && value(during, Probe::ThrottledPeriods) > 0.0
    });
    println!("duty cycle 10% of one CPU: before {before:?} during {during:?}");

    fault.clear().unwrap();
    assert_eq!(rig.standing(), standing);
    assert_eq!(state(server), 'R');
}

#[test]
fn a_duty_cycle_does_not_touch_a_server_that_wants_less() {
    let mut rig = Rig::bare();
    let server = rig.serve(idle());
    let quota = kind("{cpu.quota: {share: 10%}}");
    let mut fault = Fault::prepare(&quota, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    let during = fault.probe().unwrap();
    assert_eq!(value(&during, Probe::ThrottledPeriods), 0.0);
    assert!(matches!(
        effect(&quota, &before, &during),
        Effect::WithoutEffect { .. }
    ));
    drop(fault);
    assert_eq!(state(server), 'S');
}

#[test]
fn a_spinner_takes_the_cpu_by_its_weight() {
    if !has_cgroups("cpu contention") {
        return;
    }
    let _alone = alone();
    let mut rig = Rig::with_budget(0.5);
    // On one CPU, where the weights decide; on several the server would have one of its own.
    rig.serve(pinned(busy()));
    let contention = kind("{cpu.contention: {weight: 4x}}");
    let mut fault = Fault::prepare(&contention, &rig.context()).unwrap();
    sleep(500);
    let before = fault.probe().unwrap();
    let standing = rig.standing();
    let injected = fault.inject().unwrap();
    assert!(
        injected.detail.contains("1 busy threads on CPUs [0]"),
        "{}",
        injected.detail
    );
    // On a machine that others load, the server may have had as little before.
    let free = value(&before, Probe::CpuShare) > 60.0;
    let during = probe_until(&mut fault, "the ratio of the weights", |during| {
        let ratio = value(during, Probe::ContentionShare) / value(during, Probe::CpuShare);
        (2.5..=5.5).contains(&ratio)
            && (!free || effect(&contention, &before, during) == Effect::Bit)
    });
    println!("contention 4x within 0.5 CPU: before {before:?} during {during:?}");

    fault.clear().unwrap();
    assert_eq!(rig.standing(), standing);
    let group = rig.group.as_ref().unwrap();
    assert_eq!(group.members(Child::Contention).unwrap(), Vec::<i32>::new());
    let used = group.stat(Scope::Child(Child::Contention)).cpu_ns;
    sleep(100);
    assert_eq!(group.stat(Scope::Child(Child::Contention)).cpu_ns, used);
}

/// Undone in another order than they were made, two limits would leave one behind.
#[test]
fn a_server_has_one_limit_of_its_cpu_at_a_time() {
    if !has_cgroups("two limits at once") {
        return;
    }
    let mut rig = Rig::with_budget(0.5);
    rig.serve(idle());
    let standing = rig.standing();
    let kinds = ["{cpu.quota: {share: 5%}}", "{cpu.contention: {weight: 1x}}"].map(kind);
    for (first, second) in [(0, 1), (1, 0)] {
        let [mut first, mut second] =
            [first, second].map(|one| Fault::prepare(&kinds[one], &rig.context()).unwrap());
        first.inject().unwrap();
        let in_force = rig.standing();
        let error = second.inject().unwrap_err().to_string();
        assert!(error.contains("has a CPU quota already"), "{error}");
        assert_eq!(rig.standing(), in_force);
        first.clear().unwrap();
        assert_eq!(rig.standing(), standing);
        second.inject().unwrap();
        second.clear().unwrap();
        assert_eq!(rig.standing(), standing);
    }
}

#[test]
fn a_server_that_is_not_there_is_a_clear_error() {
    let rig = Rig::bare();
    let quota = kind("{cpu.quota: {share: 10%}}");
    let error = Fault::prepare(&quota, &rig.context()).err().unwrap();
    assert!(
        error.to_string().contains("no server process runs here"),
        "{error}"
    );

    let mut rig = Rig::bare();
    let server = rig.serve(idle());
    let mut fault = Fault::prepare(&quota, &rig.context()).unwrap();
    rig.servers[0].0.kill().unwrap();
    rig.servers[0].0.wait().unwrap();
    let error = fault.inject().unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", server.pid)),
        "{error}"
    );
    assert_eq!(rig.standing(), 0);
    rig.servers.clear();
}

#[test]
fn a_group_that_was_removed_underneath_is_a_clear_error() {
    if !has_cgroups("removed group") {
        return;
    }
    let mut rig = Rig::with_budget(0.5);
    // Elsewhere, so that it survives its group.
    let group = rig.group.take().unwrap();
    rig.serve(idle());
    let mut context = rig.context();
    context.cgroup = Some(group.clone());
    let quota = kind("{cpu.quota: {share: 10%}}");
    let mut fault = Fault::prepare(&quota, &context).unwrap();
    group.remove().unwrap();
    let error = fault.inject().unwrap_err().to_string();
    assert!(
        error.contains("depbench-") && error.contains("/server is gone"),
        "{error}"
    );
    fault.clear().unwrap();
    assert_eq!(rig.standing(), 0);
}

#[test]
fn a_helper_that_cannot_start_leaves_nothing() {
    let mut rig = Rig::bare();
    let server = rig.serve(busy());
    let mut context = rig.context();
    context.helper = depbench_faults::HelperProgram::new("/nonexistent/depbench", []);
    let mut fault = Fault::prepare(&kind("{cpu.quota: {share: 10%}}"), &context).unwrap();
    let error = fault.inject().unwrap_err().to_string();
    assert!(
        error.contains("helper `duty-cycle` cannot be started"),
        "{error}"
    );
    assert_eq!((rig.standing(), state(server)), (0, 'R'));

    context.helper = depbench_faults::HelperProgram::new("/bin/false", []);
    let mut fault = Fault::prepare(&kind("{cpu.quota: {share: 10%}}"), &context).unwrap();
    let error = fault.inject().unwrap_err().to_string();
    assert!(error.contains("has ended"), "{error}");
    assert_eq!((rig.standing(), state(server)), (0, 'R'));
}

#[test]
fn a_server_of_somebody_else_is_left_alone_and_said_so() {
    let setpriv = std::path::Path::new("/usr/bin/setpriv");
    if !common::is_root("a server of somebody else") || !setpriv.exists() {
        return;
    }
    let mut rig = Rig::bare();
    let server = rig.serve(busy());
    let mut context = rig.context();
    // The helper as nobody would run it, where nobody can reach it.
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("helper");
    // Copied by a program of its own: what another test starts meanwhile would hold the file open for writing.
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg(common::example("fault_helper")).arg(&program);
    assert!(copied.status().unwrap().success());
    for path in [dir.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let arguments = nobody.map(Into::into).into_iter().chain([program.into()]);
    context.helper = depbench_faults::HelperProgram::new(setpriv, arguments);
    for text in [
        "{cpu.quota: {share: 10%}}",
        "{process.pause: {for: 30ms, period: 40ms}}",
    ] {
        let mut fault = Fault::prepare(&kind(text), &context).unwrap();
        let error = fault.inject().unwrap_err().to_string();
        assert!(error.contains("cannot stop a process"), "{text}: {error}");
        assert_eq!((rig.standing(), state(server)), (0, 'R'), "{text}");
    }
}

/// Run by hand on a quiet machine: `cargo test -p depbench-faults -- --ignored --nocapture --test-threads=1`.
#[test]
#[ignore = "a measurement"]
fn cpu_asked_for_and_got() {
    if !has_cgroups("fidelity of cpu faults") {
        return;
    }
    let shares = |readings: [Vec<Reading>; 2]| readings.map(|each| value(&each, Probe::CpuShare));
    for budget in [0.66, 1.0] {
        for text in [
            "{cpu.quota: {share: 5%}}",
            "{cpu.quota: {share: 50%}}",
            "{cpu.contention: {weight: 1x}}",
            "{cpu.contention: {weight: 15x}}",
        ] {
            for (place, server) in [("one", pinned(busy())), ("all", busy())] {
                let mut rig = Rig::with_budget(budget);
                rig.serve(server);
                let [before, during] = shares(measure(text, &rig.context()));
                println!("machine of {budget} CPUs on {place}: {before:.1}% -> {during:.2}%");
            }
        }
    }
    for text in ["{cpu.quota: {share: 5%}}", "{cpu.quota: {share: 50%}}"] {
        let mut rig = Rig::bare();
        rig.serve(busy());
        let mut context = rig.context();
        context.facts.cpus = 1;
        let [before, during] = shares(measure(text, &context));
        println!("one CPU without cgroups: {before:.1}% -> {during:.2}%");
    }
}
