//! DepFast-Raft in a simulated world where everything goes wrong: 100 seeds by default.
//!
//! A failing seed names itself; `DEPFAST_SEED=17 cargo test -p depfast-raft --test simulation` runs it again, step by
//! step the same. `DEPFAST_SEEDS=1000` runs as many.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod cluster;
mod faults;
mod invariants;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use depfast::sim::Sim;
use history::{Budget, Input, Operation, Output, Verdict, check};

use client::{Client, History};
use cluster::Cluster;
use faults::{Faults, heal};
use invariants::Invariants;

const KEYS: u64 = 3;
const CLIENTS: u32 = 6;
const FAULTY: Duration = Duration::from_secs(4);
const SLICE: Duration = Duration::from_millis(200);
const HEALING: Duration = Duration::from_secs(10);

/// What a run was, to compare runs and to see that something happened.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    steps: u64,
    committed: usize,
    acknowledged: usize,
    operations: Vec<Operation>,
}

/// One life of a group under faults, and its healing.
fn live(seed: u64, disks_lie: bool) -> Result<Summary, String> {
    let sim = Sim::new(seed);
    let size = if seed % 4 == 3 { 5 } else { 3 };
    // Every other group forgets what lies in its files, and has to read it again for whoever lags.
    let log_memory = if seed.is_multiple_of(2) {
        8 << 10
    } else {
        1 << 20
    };
    let cluster = Cluster::start(&sim, size, log_memory);
    let history = History::default();
    let client = |number| Client {
        number,
        cluster: cluster.clone(),
        env: sim.env(),
        rng: sim.rng(),
        history: History::clone(&history),
        keys: KEYS,
    };
    let mut invariants = Invariants::default();
    sim.run_for(Duration::from_millis(500));

    // The node that these run on goes away when it is time to heal.
    let world = depfast::NodeId(1000);
    let (clients, faults) = (
        (1..=CLIENTS).map(&client).collect::<Vec<_>>(),
        Faults {
            cluster: cluster.clone(),
            env: sim.env(),
            rng: sim.rng(),
            disks_lie,
        },
    );
    sim.start(world, |env| async move {
        for client in clients {
            env.spawn(client.run());
        }
        env.spawn(faults.run());
        std::future::pending::<()>().await;
    });
    let end = sim.now() + FAULTY;
    while sim.now() < end {
        // Two leaders of one term may see each other within a millisecond.
        let (mut step, mut seen) = (0u32, Ok(()));
        sim.run_until(SLICE, || {
            step += 1;
            if seen.is_ok() && step.is_multiple_of(8) {
                seen = invariants.check_leaders(&cluster);
            }
            seen.is_err()
        });
        seen?;
        invariants.check(&cluster)?;
    }
    sim.crash(world);
    // A restart may still be due.
    sim.run_for(Duration::from_secs(1));
    heal(&cluster);
    if !sim.run_until(HEALING, || cluster.is_healed()) {
        return Err(format!(
            "the healed group does not agree: {:?}",
            cluster.statuses()
        ));
    }
    invariants.check(&cluster)?;
    sim.env().spawn(client(0).read_all());
    sim.run_for(Duration::from_secs(3));
    invariants.check(&cluster)?;

    let operations: Vec<_> = history.borrow().values().copied().collect();
    let reads = operations
        .iter()
        .filter(|operation| operation.client == 0)
        .count();
    if reads as u64 != KEYS {
        return Err(format!(
            "only {reads} of {KEYS} keys could be read after healing"
        ));
    }
    let acknowledged = acknowledged(&operations);
    invariants.check_kept(&acknowledged)?;
    if let Verdict::Violated(violation) = check(&operations, Budget::default()) {
        return Err(format!("not linearizable: {violation:?}"));
    }
    let committed = invariants.committed();
    Ok(Summary {
        steps: sim.steps(),
        committed,
        acknowledged: acknowledged.len(),
        operations,
    })
}

fn acknowledged(operations: &[Operation]) -> BTreeSet<u64> {
    let value = |operation: &Operation| match (operation.input, operation.output) {
        (Input::Write(value), Output::Ok) => Some(value),
        _ => None,
    };
    operations.iter().filter_map(value).collect()
}

/// A panic of the protocol is a finding like any other.
fn outcome(seed: u64, disks_lie: bool) -> Result<Summary, String> {
    catch_unwind(AssertUnwindSafe(|| live(seed, disks_lie)))
        .unwrap_or_else(|_| Err("a replica panicked".into()))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs every `shards`-th seed, so that the test runner can use all cores.
fn run_shard(shard: u64, shards: u64) {
    let seeds = match number("DEPFAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DEPFAST_SEEDS").unwrap_or(100),
    };
    let mut acknowledged = 0;
    for seed in seeds.filter(|seed| seed % shards == shard) {
        match outcome(seed, false) {
            Ok(summary) => acknowledged += summary.acknowledged,
            Err(violation) => panic!("DEPFAST_SEED={seed}: {violation}"),
        }
    }
    println!("{acknowledged} acknowledged writes, none lost");
}

#[test]
fn faults_break_no_promise_0() {
    run_shard(0, 4);
}

#[test]
fn faults_break_no_promise_1() {
    run_shard(1, 4);
}

#[test]
fn faults_break_no_promise_2() {
    run_shard(2, 4);
}

#[test]
fn faults_break_no_promise_3() {
    run_shard(3, 4);
}

#[test]
fn a_seed_is_a_run() {
    let (one, again) = (live(7, false).unwrap(), live(7, false).unwrap());
    assert_eq!(one, again);
    assert!(one.acknowledged > 50, "the group did serve: {one:?}");
    assert_ne!(one, live(11, false).unwrap());
}

#[test]
fn a_protocol_that_does_not_flush_is_caught() {
    let caught = (0..40).find_map(|seed| outcome(seed, true).err());
    let violation =
        caught.expect("a flush that keeps nothing loses acknowledged writes when nodes crash");
    println!("{violation}");
}
