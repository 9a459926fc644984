//! DepFast-Copilot in a simulated world where everything goes wrong.
//!
//! A failing seed names itself; `DEPFAST_SEED=17 cargo test -p depfast-copilot --test simulation` runs it again, step by
//! step the same. `DEPFAST_SEEDS=1000` runs as many.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod cluster;
mod faults;
mod invariants;
mod scenarios;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use depfast::sim::Sim;
use depfast_copilot::Durability;
use history::{Budget, Input, Operation, Output, Verdict, check};

use client::{Client, History};
use cluster::Cluster;
use faults::{Faults, heal};
use invariants::Invariants;

const KEYS: u64 = 3;
const CLIENTS: u32 = 6;
const FAULTY: Duration = Duration::from_secs(2);
const SLICE: Duration = Duration::from_millis(200);
const HEALING: Duration = Duration::from_secs(30);

/// What a run was, to compare runs and to see that something happened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    steps: u64,
    decided: usize,
    noops: usize,
    acknowledged: usize,
    operations: Vec<Operation>,
}

/// One life of a group under faults, and its healing.
fn live(seed: u64) -> Result<Summary, String> {
    let sim = Sim::new(seed);
    let size = match seed % 8 {
        3 | 6 => 5,
        7 => 7,
        _ => 3,
    };
    let durability = if (seed / 8).is_multiple_of(2) {
        Durability::Memory
    } else {
        Durability::Fsync
    };
    // Every third group forgets quickly, so that whoever lags needs a snapshot.
    let log_entries = if seed.is_multiple_of(3) { 20 } else { 1 << 14 };
    let cluster = Cluster::start(&sim, size, durability, log_entries);
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
    sim.run_for(Duration::from_millis(10));

    // The node that these run on goes away when it is time to heal.
    let world = depfast::NodeId(1000);
    let clients = (1..=CLIENTS).map(&client).collect::<Vec<_>>();
    let faults = Faults {
        cluster: cluster.clone(),
        env: sim.env(),
        rng: sim.rng(),
    };
    sim.start(world, |env| async move {
        for client in clients {
            env.spawn(client.run());
        }
        env.spawn(faults.run());
        std::future::pending::<()>().await;
    });
    let end = sim.now() + FAULTY;
    while sim.now() < end {
        sim.run_for(SLICE);
        invariants.check(&cluster)?;
    }
    sim.crash(world);
    // A restart may still be due.
    sim.run_for(Duration::from_secs(1));
    heal(&cluster);
    if !sim.run_until(HEALING, || cluster.is_healed()) {
        let state = cluster.describe();
        return Err(format!("the healed group does not agree:\n{state}"));
    }
    invariants.check(&cluster)?;
    sim.env().spawn(client(0).read_all());
    sim.run_for(Duration::from_secs(3));
    invariants.check(&cluster)?;

    let operations: Vec<_> = history.borrow().values().copied().collect();
    let own = |operation: &&Operation| operation.client == 0;
    let reads = operations.iter().filter(own).count();
    if reads as u64 != KEYS {
        return Err(format!(
            "only {reads} of {KEYS} keys could be read after healing"
        ));
    }
    if let Verdict::Violated(violation) = check(&operations, Budget::default()) {
        return Err(format!("not linearizable: {violation:?}"));
    }
    let acknowledged = |operation: &&Operation| {
        matches!(
            (operation.input, operation.output),
            (Input::Write(_), Output::Ok)
        )
    };
    Ok(Summary {
        steps: sim.steps(),
        decided: invariants.decided(),
        noops: invariants.noops(),
        acknowledged: operations.iter().filter(acknowledged).count(),
        operations,
    })
}

/// A panic of the protocol is a finding like any other.
fn outcome(seed: u64) -> Result<Summary, String> {
    catch_unwind(AssertUnwindSafe(|| live(seed)))
        .unwrap_or_else(|_| Err("a replica panicked".into()))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs every `shards`-th seed, so that the test runner can use all cores.
fn run_shard(shard: u64, shards: u64) {
    let seeds = match number("DEPFAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DEPFAST_SEEDS").unwrap_or(40),
    };
    let (mut acknowledged, mut noops, mut decided) = (0, 0, 0);
    let mut failed = Vec::new();
    for seed in seeds.filter(|seed| seed % shards == shard) {
        match outcome(seed) {
            Ok(summary) => {
                acknowledged += summary.acknowledged;
                noops += summary.noops;
                decided += summary.decided;
            }
            Err(violation) => {
                println!("DEPFAST_SEED={seed}: {violation}");
                failed.push(seed);
            }
        }
    }
    println!(
        "{acknowledged} acknowledged writes, {decided} entries, {noops} no-ops; violations: {failed:?}"
    );
    assert!(failed.is_empty(), "seeds with violations: {failed:?}");
}

#[test]
fn faults_break_no_promise_0() {
    run_shard(0, 2);
}

#[test]
fn faults_break_no_promise_1() {
    run_shard(1, 2);
}

#[test]
fn a_seed_is_a_run() {
    let (one, again) = (live(7).unwrap(), live(7).unwrap());
    assert_eq!(one, again);
    assert!(one.acknowledged > 50, "the group did serve: {one:?}");
}
