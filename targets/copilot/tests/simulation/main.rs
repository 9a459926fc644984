//! DepFast-Copilot in a simulated world where everything goes wrong.
//!
//! A failing seed names itself; `DEPFAST_SEED=17 cargo test -p depfast-copilot --test simulation faults` runs it again, step
//! by step the same. Any number, on all cores, with a summary (`DEPFAST_FROM=100000` begins there):
//!
//! ```text
//! DEPFAST_SEEDS=100000 cargo test --profile simulation -p depfast-copilot --test simulation faults -- --nocapture
//! ```

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alone;
mod behind;
mod client;
mod cluster;
mod duels;
mod entries;
mod faults;
mod forgotten;
mod invariants;
mod jumps;
mod kept;
mod lost;
mod moments;
mod mutations;
mod order;
mod pairs;
mod scenarios;
mod scene;
mod sessions;
mod starved;
mod storage;
mod succession;
mod uneven;
mod waits;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use depfast::sim::Sim;
use depfast_copilot::{Durability, Mutation, Timing};
use history::{Budget, Input, Operation, Output, Verdict, check};

use client::{Client, History};
use cluster::{Cluster, Memory, Nature};
use entries::Seen;
use faults::{Faults, Happened, heal};
use invariants::Invariants;
use sessions::{Counted, read_counter};
use waits::Waits;

/// Lives are short and allocate all the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many seeds run if nobody says otherwise.
const CI_SEEDS: u64 = 2000;
const KEYS: u64 = 3;
const CLIENTS: u32 = 4;
const SESSIONS: u64 = 2;
const FAULTY: Duration = Duration::from_millis(1500);
const SLICE: Duration = Duration::from_millis(25);
/// After the faults, everything that was asked is executed everywhere within this time.
const HEALING: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(3);

/// What a run was, to compare runs and to see that something happened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    steps: u64,
    decided: usize,
    noops: usize,
    acknowledged: usize,
    /// Of those, the writes that a replica acknowledged which knew that a first pilot was replaced.
    succeeded: usize,
    views: usize,
    /// States of replicas, and how many of them were compared with the order that follows from the decisions.
    states: u64,
    ordered: u64,
    compactions: u64,
    seen: Seen,
    counted: Counted,
    happened: Happened,
    healing: Duration,
    operations: Vec<Operation>,
}

/// What the group of a seed is like.
fn nature(seed: u64) -> Nature {
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
    let memory = if seed.is_multiple_of(3) {
        Memory::Short
    } else {
        Memory::Long
    };
    let timing = if (seed / 16).is_multiple_of(2) {
        Timing::default()
    } else {
        // Pilots are replaced while faults go on and clients ask.
        Timing {
            heartbeat: Duration::from_millis(50),
            suspicion: Duration::from_millis(250),
            ..Timing::default()
        }
    };
    Nature {
        timing,
        ..Nature::new(size, durability, memory)
    }
}

/// One life of a group under faults, and its healing.
fn live(seed: u64, mutation: Option<Mutation>) -> Result<Summary, String> {
    let sim = Sim::new(seed);
    let nature = Nature {
        mutation,
        ..nature(seed)
    };
    let cluster = Cluster::start(&sim, nature);
    let history = History::default();
    let succeeded = Rc::<Cell<usize>>::default();
    let client = |number| Client {
        number,
        cluster: cluster.clone(),
        env: sim.env(),
        rng: sim.rng(),
        history: History::clone(&history),
        succeeded: Rc::clone(&succeeded),
        keys: KEYS,
    };
    let mut invariants = Invariants::default();
    sim.run_for(Duration::from_millis(10));

    // The node that these run on goes away when it is time to heal.
    let world = depfast::NodeId(1000);
    // Half of the clients of half of the groups have sessions, and two connections each.
    let sessions = if (seed / 32).is_multiple_of(2) {
        0
    } else {
        SESSIONS
    };
    let desks = sessions::desks(sessions);
    let lanes = sessions::lanes(&desks, &cluster);
    let plain = CLIENTS - u32::try_from(sessions).unwrap();
    let clients = (1..=plain).map(&client).collect::<Vec<_>>();
    let happened = Rc::<Cell<Happened>>::default();
    let faults = Faults {
        happened: Rc::clone(&happened),
        cluster: cluster.clone(),
        env: sim.env(),
        rng: sim.rng(),
    };
    sim.start(world, |env| async move {
        for client in clients {
            env.spawn(client.run());
        }
        for lane in lanes {
            env.spawn(lane.run());
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
    let healing = sim.now();
    if !sim.run_until(HEALING, || cluster.is_healed()) {
        let state = cluster.describe();
        return Err(format!("the healed group does not agree:\n{state}"));
    }
    let healing = sim.now() - healing;
    invariants.check(&cluster)?;
    sim.env().spawn(client(0).read_all());
    let counter = Rc::<Cell<Option<i64>>>::default();
    let (cluster_read, env, read) = (cluster.clone(), sim.env(), Rc::clone(&counter));
    sim.env().spawn(async move {
        read.set(Some(read_counter(cluster_read, env).await));
    });
    let mut waits = Waits::default();
    let end = sim.now() + CALM;
    while sim.now() < end {
        sim.run_for(SLICE);
        waits.check(&cluster)?;
    }
    // Whoever was suspected before may have been replaced since.
    if !sim.run_until(HEALING, || cluster.is_healed()) {
        let state = cluster.describe();
        return Err(format!("the group is not well any more:\n{state}"));
    }
    invariants.check(&cluster)?;

    let ordered = invariants.check_order()?;

    let operations: Vec<_> = history.borrow().values().copied().collect();
    let own = |operation: &&Operation| operation.client == 0;
    let reads = operations.iter().filter(own).count();
    if reads as u64 != KEYS {
        return Err(format!(
            "only {reads} of {KEYS} keys could be read after healing"
        ));
    }
    match check(&operations, Budget::default()) {
        Verdict::Ok => {}
        Verdict::Violated(violation) => return Err(format!("not linearizable: {violation:?}")),
        Verdict::Unknown { keys } => {
            return Err(format!("whether {keys:?} are linearizable is not known"));
        }
    }
    let counter = counter.get().ok_or("the counter could not be read")?;
    let counted = sessions::check(&desks, counter)?;
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
        views: invariants.views(),
        states: invariants.states(),
        ordered,
        compactions: invariants.compactions(),
        seen: invariants.seen(),
        counted,
        happened: happened.get(),
        acknowledged: operations.iter().filter(acknowledged).count(),
        succeeded: succeeded.get(),
        healing,
        operations,
    })
}

/// A panic of the protocol is a finding like any other.
fn outcome(seed: u64, mutation: Option<Mutation>) -> Result<Summary, String> {
    catch_unwind(AssertUnwindSafe(|| live(seed, mutation)))
        .unwrap_or_else(|_| Err("a replica panicked".into()))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What happened in all runs together.
#[derive(Debug, Default)]
struct Total {
    seeds: u64,
    operations: usize,
    acknowledged: usize,
    succeeded: usize,
    entries: usize,
    noops: usize,
    views: usize,
    states: u64,
    ordered: u64,
    compactions: u64,
    fast_decisions: u64,
    eliminated: u64,
    increments: u64,
    copies: u64,
    crashes: u64,
    partitions: u64,
    slow_replicas: u64,
    /// The longest one.
    healing: Duration,
    violations: Vec<u64>,
}

impl Total {
    fn add(&mut self, seed: u64, outcome: Result<Summary, String>) {
        self.seeds += 1;
        match outcome {
            Ok(summary) => {
                self.operations += summary.operations.len();
                self.acknowledged += summary.acknowledged;
                self.succeeded += summary.succeeded;
                self.entries += summary.decided;
                self.noops += summary.noops;
                self.views += summary.views;
                self.states += summary.states;
                self.ordered += summary.ordered;
                self.compactions += summary.compactions;
                self.fast_decisions += summary.seen.fast_decisions;
                self.eliminated += summary.seen.eliminated;
                self.increments += summary.counted.increments;
                self.copies += summary.counted.copies;
                self.healing = self.healing.max(summary.healing);
                self.crashes += summary.happened.crashes;
                self.partitions += summary.happened.partitions;
                self.slow_replicas += summary.happened.slow_replicas;
            }
            Err(violation) => {
                println!("DEPFAST_SEED={seed}: {violation}");
                self.violations.push(seed);
            }
        }
    }
}

#[test]
fn faults_break_no_promise() {
    let seeds = match number("DEPFAST_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("DEPFAST_FROM").unwrap_or(0);
            first..first + number("DEPFAST_SEEDS").unwrap_or(CI_SEEDS)
        }
    };
    let (next, total) = (AtomicU64::new(seeds.start), Mutex::new(Total::default()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = outcome(seed, None);
                    total.lock().unwrap().add(seed, outcome);
                }
            });
        }
    });
    let mut total = total.into_inner().unwrap();
    total.violations.sort_unstable();
    println!("{total:?}");
    assert!(
        total.violations.is_empty(),
        "seeds with violations: {:?}",
        total.violations
    );
    if total.seeds >= CI_SEEDS {
        let rare = [
            total.noops as u64,
            total.views as u64,
            total.compactions,
            total.fast_decisions,
            total.eliminated,
        ];
        assert!(rare.iter().all(|count| *count > 100), "{total:?}");
        let common = [total.succeeded as u64, total.increments, total.copies];
        assert!(common.iter().all(|count| *count > 10_000), "{total:?}");
    }
}

#[test]
fn a_seed_is_a_run() {
    let (one, again) = (live(7, None).unwrap(), live(7, None).unwrap());
    assert_eq!(one, again);
    assert!(one.acknowledged > 50, "the group did serve: {one:?}");
}
