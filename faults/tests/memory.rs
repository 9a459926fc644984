//! Memory limits on real processes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Rig, has_cgroups, idle, kind, probe_until, shell, until_bit, value, wait_for};
use depbench_faults::{Backend, Effect, Fault, Probe, effect, residue};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use node::cgroup::{Child, Mode, Scope};

#[test]
fn a_limit_is_reached_by_page_cache_without_a_kill_and_is_restored() {
    if !has_cgroups("memory limit") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    if statfs(dir.path()).unwrap().filesystem_type() == TMPFS_MAGIC {
        println!("memory limit skipped: the temporary directory is in memory itself");
        return;
    }
    let file = dir.path().join("data");
    std::fs::write(&file, vec![7; 64 << 20]).unwrap();
    let mut rig = Rig::with_budget(1.0);
    let start = format!(
        "sleep 1; while :; do cat {} > /dev/null; done",
        file.display()
    );
    rig.serve(shell(&start));
    // Read outside the group the file would be charged to nobody here.
    nix::unistd::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "1").unwrap();
    let limit = kind("{memory.limit: {bytes: 16MiB}}");
    let mut fault = Fault::prepare(&limit, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    let standing = rig.standing();
    let injected = fault.inject().unwrap();
    assert!(
        injected.detail.contains("16777216 bytes"),
        "{}",
        injected.detail
    );
    let group = rig.group.clone().unwrap();
    // What hits the limit while it is being set does not count.
    let during = until_bit(&mut fault, &before);
    println!("memory limit 16 MiB: before {before:?} during {during:?}");
    assert!(value(&during, Probe::MemoryUsage) <= 17e6);
    assert_eq!(value(&during, Probe::OomKills), 0.0);

    fault.clear().unwrap();
    fault.clear().unwrap();
    assert_eq!(rig.standing(), standing);
    let after = fault.probe().unwrap();
    assert_eq!(residue(&limit, &before, &after), None);
    let usage = || {
        group
            .stat(Scope::Child(Child::Server))
            .memory_bytes
            .unwrap()
    };
    wait_for("growth past the former limit", || usage() > 32 << 20);
}

#[test]
fn a_limit_never_reached_is_without_effect() {
    if !has_cgroups("memory limit never reached") {
        return;
    }
    let mut rig = Rig::with_budget(1.0);
    rig.serve(idle());
    let limit = kind("{memory.limit: {bytes: 50MB}}");
    let mut fault = Fault::prepare(&limit, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    let during = fault.probe().unwrap();
    let effect = effect(&limit, &before, &during);
    assert!(
        effect.objection().unwrap().contains("never reached"),
        "{effect}"
    );
}

/// A server whose memory grows to a gigabyte once there is a file `go`: `tail` holds what it reads until the end.
fn growing(rig: &Rig) -> std::process::Command {
    let go = rig.disk_dir().join("go");
    shell(&format!(
        "until [ -e {} ]; do sleep 0.01; done; head -c 1G /dev/zero | tail -c 1G | sleep 300",
        go.display()
    ))
}

fn let_grow(rig: &Rig) {
    std::fs::write(rig.disk_dir().join("go"), "").unwrap();
}

#[test]
fn in_version_1_a_server_that_grows_is_killed_which_is_fail_stop() {
    if !has_cgroups("memory kill") {
        return;
    }
    let mut rig = Rig::with_budget(1.0);
    let server = growing(&rig);
    rig.serve(server);
    let context = rig.context();
    if context.facts.cgroups.mode() != Mode::V1 {
        println!("memory kill skipped: version 2 throttles");
        return;
    }
    let limit = kind("{memory.limit: {bytes: 20MB, swap: none}}");
    let mut fault = Fault::prepare(&limit, &context).unwrap();
    assert_eq!(fault.backend(), Backend::MemoryLimit);
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    let_grow(&rig);
    let group = rig.group.clone().unwrap();
    let kills = || group.stat(Scope::Child(Child::Server)).oom_kills.unwrap();
    wait_for("a kill", || kills() > 0);
    let during = fault.probe().unwrap();
    println!("memory kill: {during:?}");
    let effect = effect(&limit, &before, &during);
    assert!(
        matches!(&effect, Effect::FailStop { reason } if reason.contains("want of memory")),
        "{effect}"
    );
    fault.clear().unwrap();
}

#[test]
fn in_version_2_a_server_that_grows_is_throttled_and_lives() {
    if !has_cgroups("memory throttling") {
        return;
    }
    let mut rig = Rig::with_budget(1.0);
    let server = growing(&rig);
    rig.serve(server);
    let context = rig.context();
    if context.facts.cgroups.mode() != Mode::V2 {
        println!("memory throttling skipped: version 1 kills");
        return;
    }
    let limit = kind("{memory.limit: {bytes: 20MB, swap: none}}");
    let mut fault = Fault::prepare(&limit, &context).unwrap();
    assert_eq!(fault.backend(), Backend::MemoryHigh);
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    let_grow(&rig);
    let during = until_bit(&mut fault, &before);
    println!("memory throttling: {during:?}");
    fault.clear().unwrap();
}

#[test]
fn a_limit_below_what_is_in_use_is_refused_and_nothing_changed() {
    if !has_cgroups("memory limit below use") {
        return;
    }
    let mut rig = Rig::with_budget(1.0);
    if rig.context().facts.cgroups.mode() != Mode::V1 {
        println!("memory limit below use skipped: version 2 accepts it");
        return;
    }
    rig.serve(shell(
        "head -c 60000000 /dev/zero | tail -c 60000000 | sleep 300",
    ));
    let group = rig.group.clone().unwrap();
    let usage = || {
        group
            .stat(Scope::Child(Child::Server))
            .memory_bytes
            .unwrap()
    };
    wait_for("growth", || usage() > 60_000_000);
    let standing = rig.standing();
    let mut fault = Fault::prepare(
        &kind("{memory.limit: {bytes: 20MB, swap: none}}"),
        &rig.context(),
    )
    .unwrap();
    let error = fault.inject().unwrap_err().to_string();
    assert!(
        error.contains("20000000 bytes") && error.contains("in use"),
        "{error}"
    );
    assert_eq!(rig.standing(), standing);
    assert_eq!(group.stat(Scope::Child(Child::Server)).oom_kills, Some(0));
}

#[test]
fn a_program_beside_the_server_holds_and_touches_memory_and_ends() {
    let mut rig = Rig::bare();
    rig.serve(idle());
    let contention = kind("{memory.contention: {bytes: 64MiB, rate: 50MB/s}}");
    let mut fault = Fault::prepare(&contention, &rig.context()).unwrap();
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    assert_eq!(rig.standing(), 1);
    // The first stretch is touched at once.
    let during = probe_until(&mut fault, "64 MiB touched at the rate", |during| {
        value(during, Probe::ContentionMemory) >= f64::from(64 << 20)
            && (1.0..55e6).contains(&value(during, Probe::ContentionTouchRate))
    });
    println!("memory contention: {during:?}");
    fault.clear().unwrap();
    assert_eq!(rig.standing(), 0);
    let after = fault.probe().unwrap();
    assert_eq!(residue(&contention, &before, &after), None);
}

#[test]
fn more_memory_than_there_is_is_refused() {
    let mut rig = Rig::bare();
    rig.serve(idle());
    let contention = kind("{memory.contention: {bytes: 900000GB}}");
    let mut fault = Fault::prepare(&contention, &rig.context()).unwrap();
    let error = fault.inject().unwrap_err().to_string();
    assert!(error.contains("900000GB do not fit"), "{error}");
    assert_eq!(rig.standing(), 0);
}

#[test]
fn with_swap_space_of_its_own_a_server_that_grows_swaps_and_lives() {
    if !has_cgroups("memory swap") {
        return;
    }
    let mut rig = Rig::with_budget(1.0);
    let toucher = common::example("fault_helper");
    rig.serve(shell(&format!(
        "(echo '{{\"bytes\": \"60MB\", \"rate\": \"300MB/s\"}}'; sleep 300) | {} memory-toucher",
        toucher.display()
    )));
    let context = rig.context();
    let group = rig.group.clone().unwrap();
    let stat = || group.stat(Scope::Child(Child::Server));
    wait_for("growth", || stat().memory_bytes.unwrap() > 40_000_000);
    let limit = kind("{memory.limit: {bytes: 30MB}}");
    let mut fault = Fault::prepare(&limit, &context).unwrap();
    if !matches!(
        fault.backend(),
        Backend::MemoryLimitSwap | Backend::MemoryHighSwap
    ) {
        println!("memory swap skipped: {}", fault.backend());
        return;
    }
    let before = fault.probe().unwrap();
    let standing = rig.standing();
    let injected = fault.inject().unwrap();
    println!("memory swap: {}", injected.detail);
    assert_eq!(rig.standing(), standing + 2);
    // Since it is in: what happened while it was set does not count.
    let hits = stat().memory_limit_hits.unwrap();
    wait_for("limit hits", || {
        stat().memory_limit_hits.unwrap() > hits + 10
    });
    wait_for("major faults", || stat().major_faults.unwrap() > 100);
    let during = fault.probe().unwrap();
    println!("memory swap: before {before:?} during {during:?}");
    assert_eq!(effect(&limit, &before, &during), Effect::Bit);
    assert!(value(&during, Probe::MemoryUsage) <= 31e6);
    let device = injected.detail.rsplit(' ').next().unwrap().to_owned();
    let swaps = || std::fs::read_to_string("/proc/swaps").unwrap();
    assert!(swaps().contains(&device));
    fault.clear().unwrap();
    assert_eq!(rig.standing(), standing);
    assert!(!swaps().contains(&format!("{device} ")), "{}", swaps());
    let after = fault.probe().unwrap();
    assert_eq!(residue(&limit, &before, &after), None);
}
