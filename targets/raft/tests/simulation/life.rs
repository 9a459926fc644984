//! One life of a group under faults, and its healing.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use depfast::sim::Sim;
use history::{Budget, Input, Operation, Output, Verdict, check};

use crate::client::{Client, History};
use crate::cluster::{Cluster, Setup};
use crate::faults::{Faults, Tally, heal};
use crate::invariants::Invariants;

const KEYS: u64 = 3;
const CLIENTS: u32 = 6;
const FAULTY: Duration = Duration::from_millis(2500);
const SLICE: Duration = Duration::from_millis(50);
const HEALING: Duration = Duration::from_secs(10);

/// What a life was, to compare lives and to see that something happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) steps: u64,
    pub(crate) committed: usize,
    pub(crate) acknowledged: usize,
    pub(crate) leaders: usize,
    pub(crate) installed: u64,
    pub(crate) tally: Tally,
    pub(crate) operations: Vec<Operation>,
}

/// Lives through `seed`; a panic of the protocol is a finding like any other.
pub(crate) fn outcome(seed: u64, setup: &Setup, disks_lie: bool) -> Result<Summary, String> {
    catch_unwind(AssertUnwindSafe(|| live(seed, setup, disks_lie)))
        .unwrap_or_else(|_| Err("a replica panicked".into()))
}

pub(crate) fn live(seed: u64, setup: &Setup, disks_lie: bool) -> Result<Summary, String> {
    let sim = Sim::new(seed);
    let cluster = Cluster::start(&sim, setup.clone());
    let started = cluster.started();
    let summary = live_in(&sim, &cluster, disks_lie)?;
    drop((cluster, sim));
    // Long rows of lives need the memory of one.
    let started = started.borrow();
    let alive = started.iter().filter(|(_, raft)| raft.strong_count() > 0);
    let alive: Vec<_> = alive.map(|(id, _)| id.to_string()).collect();
    if alive.is_empty() {
        Ok(summary)
    } else {
        Err(format!("{} outlived the system", alive.join(", ")))
    }
}

fn live_in(sim: &Sim, cluster: &Cluster, disks_lie: bool) -> Result<Summary, String> {
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
    let clients: Vec<_> = (1..=CLIENTS).map(&client).collect();
    let faults = Faults::new(cluster, disks_lie);
    let tally = faults.tally();
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
                seen = invariants.check_leaders(cluster);
            }
            seen.is_err()
        });
        seen?;
        invariants.check(cluster)?;
    }
    sim.crash(world);
    // A restart may still be due.
    sim.run_for(Duration::from_secs(1));
    heal(cluster);
    if !sim.run_until(HEALING, || cluster.is_healed()) {
        return Err(format!(
            "the healed group does not agree: {:?}",
            cluster.statuses()
        ));
    }
    invariants.check(cluster)?;
    sim.env().spawn(client(0).read_all());
    sim.run_for(Duration::from_secs(2));
    invariants.check_all(cluster)?;

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
    judge(&operations)?;
    let tally = tally.borrow().clone();
    Ok(Summary {
        steps: sim.steps(),
        committed: invariants.committed(),
        acknowledged: acknowledged.len(),
        leaders: invariants.leaders(),
        installed: invariants.installed(),
        tally,
        operations,
    })
}

/// Refuses a history that no single register per key explains.
pub(crate) fn judge(operations: &[Operation]) -> Result<(), String> {
    match check(operations, Budget::default()) {
        Verdict::Violated(violation) => Err(format!("not linearizable: {violation:?}")),
        _ => Ok(()),
    }
}

fn acknowledged(operations: &[Operation]) -> BTreeSet<u64> {
    let value = |operation: &Operation| match (operation.input, operation.output) {
        (Input::Write(value), Output::Ok) => Some(value),
        _ => None,
    };
    operations.iter().filter_map(value).collect()
}
