//! Lives whose course is given, and what shows that the checks would notice a broken protocol.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use depfast::sim::{DiskSpeed, Link, Sim};
use depfast_raft::{Mutation, Reads, ReplicaId};

use kv::Replica;

use crate::client::{Answer, Client, History};
use crate::cluster::{Cluster, Setup};
use crate::invariants::Invariants;
use crate::life::{judge, outcome};

const MOMENT: Duration = Duration::from_millis(1);

/// A group, its invariants and what its clients saw.
pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) cluster: Cluster,
    pub(crate) invariants: Invariants,
    pub(crate) history: History,
    clients: Cell<u32>,
}

impl Scene {
    pub(crate) fn new(seed: u64, setup: &Setup) -> Self {
        let sim = Sim::new(seed);
        let cluster = Cluster::start(&sim, setup.clone());
        Self {
            sim,
            cluster,
            invariants: Invariants::default(),
            history: History::default(),
            clients: Cell::new(0),
        }
    }

    /// Lives on for a time, with everything checked all the while.
    pub(crate) fn run(&mut self, time: Duration) -> Result<(), String> {
        let end = self.sim.now() + time;
        while self.sim.now() < end {
            self.sim.run_for(MOMENT);
            self.invariants.check(&self.cluster)?;
        }
        Ok(())
    }

    /// Lives on until something is so.
    pub(crate) fn until(
        &mut self,
        what: &str,
        mut reached: impl FnMut(&Cluster) -> bool,
    ) -> Result<(), String> {
        for _ in 0..20_000 {
            if reached(&self.cluster) {
                return Ok(());
            }
            self.run(MOMENT)?;
        }
        let statuses = self.cluster.statuses();
        Err(format!("it does not come to pass: {what}; {statuses:?}"))
    }

    pub(crate) fn until_led(&mut self) -> Result<ReplicaId, String> {
        self.until("a leader", |cluster| cluster.leader().is_some())?;
        Ok(self.cluster.leader().unwrap())
    }

    /// Has a new client write `value`, or read, at one replica; the flag says when it has an answer.
    pub(crate) fn ask(&self, to: ReplicaId, value: Option<u64>) -> Rc<Cell<Option<bool>>> {
        self.clients.set(self.clients.get() + 1);
        let client = Client {
            history: History::clone(&self.history),
            ..Client::of(&self.cluster, self.clients.get())
        };
        let done = Rc::new(Cell::new(None));
        let note = Rc::clone(&done);
        self.sim.env().spawn(async move {
            let ok = match client.cluster.sim.connect(&Cluster::client_address(to)) {
                Ok(stream) => matches!(
                    client.ask(&stream, 0, value).await,
                    Answer::Ok | Answer::Value(_)
                ),
                Err(_) => false,
            };
            note.set(Some(ok));
        });
        done
    }

    pub(crate) fn judge(&self) -> Result<(), String> {
        let operations: Vec<_> = self.history.borrow().values().copied().collect();
        judge(&operations)
    }
}

/// A leader is cut off from its peers, but clients reach it still: they write to its successor and ask it.
fn a_deposed_leader_is_asked(seed: u64, setup: &Setup) -> Result<(), String> {
    let mut scene = Scene::new(seed, setup);
    let old = scene.until_led()?;
    let first = scene.ask(old, Some(1));
    scene.until("the first write", |_| first.get() == Some(true))?;
    scene.cluster.sim.partition(&[old]);
    scene.until("a successor", |cluster| {
        cluster.leader().is_some_and(|leader| leader != old)
    })?;
    let new = scene.cluster.leader().unwrap();
    let second = scene.ask(new, Some(2));
    scene.until("the second write", |_| second.get().is_some())?;
    let question = scene.ask(old, None);
    scene.until("an answer", |_| question.get().is_some())?;
    scene.judge()
}

/// Leaders crash right after they were written to, on slow links (figure 8 of the Raft paper, at random).
fn leaders_come_and_go(seed: u64, setup: &Setup) -> Result<(), String> {
    let mut scene = Scene::new(seed, setup);
    let mut rng = scene.sim.rng();
    scene.sim.set_default_link(Link {
        delay: MOMENT..Duration::from_millis(25),
        ..Link::default()
    });
    let majority = scene.cluster.ids.len() / 2 + 1;
    for value in 1..40 {
        if let Some(leader) = scene.cluster.leader() {
            scene.ask(leader, Some(value));
            scene.run(rng.duration(&(MOMENT..Duration::from_millis(40))))?;
            if rng.chance(0.6) {
                scene.cluster.crash(leader);
            }
        }
        let down: Vec<_> = scene
            .cluster
            .ids
            .iter()
            .copied()
            .filter(|id| !scene.sim.is_up(*id))
            .collect();
        if scene.cluster.ids.len() - down.len() < majority || rng.chance(0.2) {
            for id in down.into_iter().filter(|_| rng.chance(0.6)) {
                scene.cluster.start_replica(id);
            }
        }
        scene.run(rng.duration(&(MOMENT..Duration::from_millis(300))))?;
    }
    Ok(())
}

/// Figure 8 of the Raft paper: an entry of an old term reaches a majority under a later leader, which then crashes, while a
/// replica that was elected in between holds something else in its place.
fn an_old_entry_reaches_a_majority(seed: u64, setup: &Setup) -> Result<(), String> {
    let mut scene = Scene::new(seed, setup);
    let first = scene.until_led()?;
    scene.run(Duration::from_millis(100))?;
    let other = scene
        .cluster
        .ids
        .iter()
        .copied()
        .find(|id| *id != first)
        .unwrap();
    let few = [first, other];
    let many = scene
        .cluster
        .ids
        .iter()
        .copied()
        .filter(|id| !few.contains(id));
    let many: Vec<_> = many.collect();

    // The old entry, with two replicas.
    scene.cluster.sim.partition(&few);
    scene.ask(first, Some(1));
    scene.run(Duration::from_millis(20))?;
    let old = scene.cluster.replica(first).status().last;

    // The one in between: elected, but what it appends reaches nobody.
    let sim = scene.sim.clone();
    let elected = sim.run_until(Duration::from_secs(20), || {
        scene
            .cluster
            .leader()
            .is_some_and(|leader| many.contains(&leader))
    });
    let between = scene
        .cluster
        .leader()
        .filter(|_| elected)
        .ok_or("nobody was elected")?;
    let rest: Vec<_> = many.iter().copied().filter(|id| *id != between).collect();
    for id in &rest {
        scene.cluster.crash(*id);
    }
    scene.run(Duration::from_millis(20))?;
    scene.cluster.crash(between);

    // The later leader replicates the old entry; it crashes as soon as it takes that for committed.
    sim.partition(&[]);
    for id in &rest {
        scene.cluster.start_replica(*id);
    }
    let committed = sim.run_until(Duration::from_secs(20), || {
        let statuses = scene.cluster.statuses();
        statuses.iter().any(|status| status.commit >= old)
    });
    if !committed {
        return Err("the old entry is never committed".into());
    }
    scene.invariants.check(&scene.cluster)?;
    for (id, _) in scene.cluster.running() {
        scene.cluster.crash(id);
    }
    for id in &many {
        scene.cluster.start_replica(*id);
    }
    scene.until_led()?;
    scene.run(Duration::from_millis(200))?;
    for id in few {
        scene.cluster.start_replica(id);
    }
    scene.until("agreement", Cluster::is_healed)
}

/// All replicas, with slow disks, crash as soon as a write is answered.
fn all_crash_after_an_answer(seed: u64, setup: &Setup) -> Result<(), String> {
    let mut scene = Scene::new(seed, setup);
    let leader = scene.until_led()?;
    scene.run(Duration::from_millis(50))?;
    for id in scene.cluster.ids.clone() {
        let flush = Duration::from_millis(20)..Duration::from_millis(60);
        let speed = DiskSpeed {
            flush,
            ..DiskSpeed::default()
        };
        scene.sim.set_disk_speed(id, speed);
    }
    let written = scene.ask(leader, Some(1));
    scene.until("the answer", |_| written.get().is_some())?;
    for id in scene.cluster.ids.clone() {
        scene.cluster.crash(id);
        scene.cluster.start_replica(id);
    }
    scene.until("agreement", Cluster::is_healed)?;
    let leader = scene.until_led()?;
    let read = scene.ask(leader, None);
    scene.until("a read", |_| read.get().is_some())?;
    scene.judge()
}

/// The first seed in which `scenario` breaks a promise.
fn caught(
    seeds: u64,
    setup: &Setup,
    mutation: Mutation,
    scenario: impl Fn(u64, &Setup) -> Result<(), String>,
) -> String {
    for seed in 0..seeds {
        scenario(seed, setup)
            .unwrap_or_else(|violation| panic!("seed {seed}, unbroken: {violation}"));
        let broken = Setup {
            mutation: Some(mutation),
            ..setup.clone()
        };
        if let Err(violation) = scenario(seed, &broken) {
            println!("{mutation:?} is caught by seed {seed}: {violation}");
            return violation;
        }
    }
    panic!("{mutation:?} is not caught by {seeds} seeds");
}

#[test]
fn voting_twice_is_caught() {
    let violation = caught(200, &Setup::of(5), Mutation::VoteTwice, leaders_come_and_go);
    assert!(violation.starts_with("election safety"), "{violation}");
}

#[test]
fn committing_an_entry_of_an_older_term_by_counting_is_caught() {
    let setup = Setup {
        message_bytes: 1,
        ..Setup::of(5)
    };
    caught(
        100,
        &setup,
        Mutation::CommitOldTerm,
        an_old_entry_reaches_a_majority,
    );
}

#[test]
fn answering_before_the_flush_is_caught() {
    for size in [3, 5, 7] {
        let setup = Setup::of(size);
        caught(60, &setup, Mutation::SkipFsync, all_crash_after_an_answer);
    }
}

#[test]
fn a_disk_that_does_not_flush_is_caught() {
    let caught = (0..40).find_map(|seed| outcome(seed, &Setup::of(3), true).err());
    println!(
        "{}",
        caught.expect("acknowledged writes are lost when nodes crash")
    );
}

#[test]
fn a_stale_lease_is_caught() {
    let setup = Setup {
        reads: Reads::Lease,
        ..Setup::of(3)
    };
    let violation = caught(60, &setup, Mutation::StaleLease, a_deposed_leader_is_asked);
    assert!(violation.starts_with("not linearizable"), "{violation}");
}

#[test]
fn a_read_that_asks_nobody_is_caught() {
    for size in [3, 5, 7] {
        let setup = Setup::of(size);
        let violation = caught(
            60,
            &setup,
            Mutation::UncheckedRead,
            a_deposed_leader_is_asked,
        );
        assert!(violation.starts_with("not linearizable"), "{violation}");
    }
}

/// Long rows of seeds need the memory of one.
#[test]
fn nothing_outlives_its_system() {
    for seed in 0..8 {
        let sim = Sim::new(seed);
        let cluster = Cluster::start(&sim, Setup::varied(seed));
        for number in 1..=3 {
            let client = Client {
                number,
                cluster: cluster.clone(),
                env: sim.env(),
                rng: sim.rng(),
                history: History::default(),
                keys: 3,
            };
            sim.env().spawn(client.run());
        }
        sim.run_for(Duration::from_secs(3));
        let replicas: Vec<_> = (cluster.running().iter())
            .map(|(_, raft)| Rc::downgrade(raft))
            .collect();
        assert!(!replicas.is_empty());
        drop((cluster, sim));
        let alive = replicas.iter().filter(|raft| raft.strong_count() > 0);
        assert_eq!(alive.count(), 0, "of seed {seed}");
    }
}
