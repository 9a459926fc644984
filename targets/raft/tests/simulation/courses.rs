//! Lives whose course is given: what replicas do for each other when one of them is slow, new, or leaves.

use std::time::Duration;

use depfast::detect::CpuTimes;
use depfast::sim::{DiskFault, DiskSpeed, Link, Sim};
use depfast_raft::ReplicaId;
use kv::Replica;

use crate::client::Client;
use crate::cluster::{Cluster, Setup};
use crate::scenarios::Scene;

const SECOND: Duration = Duration::from_secs(1);

impl Scene {
    fn follower(&self) -> ReplicaId {
        let leader = self.cluster.leader();
        let mut ids = self.cluster.ids.iter().copied();
        ids.find(|id| Some(*id) != leader).unwrap()
    }

    fn term(&self) -> u64 {
        let statuses = self.cluster.statuses();
        statuses.iter().map(|status| status.term).max().unwrap()
    }

    /// Writes through whoever leads, again and again until it is done.
    fn write(&mut self, value: u64) -> Result<(), String> {
        for _ in 0..100 {
            let leader = self.until_led()?;
            let answer = self.ask(leader, Some(value));
            self.until("an answer", |_| answer.get().is_some())?;
            if answer.get() == Some(true) {
                return Ok(());
            }
            self.run(Duration::from_millis(50))?;
        }
        Err(format!("{value} cannot be written"))
    }

    fn read(&mut self) -> Result<(), String> {
        let leader = self.until_led()?;
        let answer = self.ask(leader, None);
        self.until("a read", |_| answer.get() == Some(true))
    }

    /// Has the leader take `id` in, or let it go; waits until that is done.
    fn change(&mut self, id: ReplicaId) -> Result<(), String> {
        let leader = self.until_led()?;
        let was_member = self.cluster.is_member(leader, id);
        let client = Client::of(&self.cluster, 1000);
        self.sim.env().spawn(async move {
            client.change_members(leader, id).await;
        });
        self.until("the change", |cluster| {
            cluster
                .leader()
                .is_some_and(|leader| cluster.is_member(leader, id) != was_member)
        })?;
        self.until("agreement", Cluster::is_healed)
    }
}

/// Has a node's thread get a twentieth of the CPU that it wants, from now on.
fn starve(sim: &Sim, node: ReplicaId) {
    let (sim, env) = (sim.clone(), sim.env());
    env.clone().spawn(async move {
        loop {
            env.timeout("starving", Duration::from_millis(20)).await;
            let (running, awake) = (Duration::from_millis(1), Duration::from_millis(20));
            sim.spend_cpu(
                node,
                CpuTimes {
                    running,
                    awake,
                    queued: Duration::ZERO,
                },
            );
        }
    });
}

#[test]
fn a_slow_follower_deposes_nobody() {
    for size in [3, 5, 7] {
        let mut scene = Scene::new(1, &Setup::of(size));
        let leader = scene.until_led().unwrap();
        scene.write(1).unwrap();
        let (term, slow) = (scene.term(), scene.follower());
        let bad = Link {
            delay: Duration::from_millis(50)..SECOND,
            loss: 0.3,
            duplication: 0.1,
        };
        for id in scene.cluster.ids.clone() {
            scene.sim.set_link(slow, id, bad.clone());
            scene.sim.set_link(id, slow, bad.clone());
        }
        for value in 2..12 {
            scene.run(SECOND).unwrap();
            scene.write(value).unwrap();
        }
        // It is off for a while, as a process that is stopped, and comes back.
        for value in 12..16 {
            scene.sim.partition(&[slow]);
            scene.run(SECOND).unwrap();
            scene.sim.partition(&[]);
            scene.write(value).unwrap();
        }
        assert_eq!((scene.cluster.leader(), scene.term()), (Some(leader), term));
    }
}

#[test]
fn a_follower_that_lags_too_far_gets_a_snapshot() {
    for size in [3, 5, 7] {
        let setup = Setup {
            snapshot_bytes: 2 << 10,
            ..Setup::of(size)
        };
        let mut scene = Scene::new(2, &setup);
        scene.until_led().unwrap();
        let away = scene.follower();
        scene.cluster.crash(away);
        for value in 1..200 {
            scene.write(value).unwrap();
        }
        scene.cluster.start_replica(away);
        scene.until("agreement", Cluster::is_healed).unwrap();
        assert_eq!(scene.cluster.replica(away).installed(), 1);
        // Whoever is restarted begins with its own snapshot.
        for id in scene.cluster.ids.clone() {
            scene.cluster.crash(id);
            scene.cluster.start_replica(id);
        }
        scene.read().unwrap();
        scene.judge().unwrap();
    }
}

#[test]
fn a_full_disk_of_the_leader_refuses_writes_and_serves_reads() {
    writes_are_refused_and_reads_served(|leader, id| id == leader);
}

#[test]
fn full_disks_of_a_majority_refuse_writes_and_serve_reads() {
    writes_are_refused_and_reads_served(|leader, id| id != leader);
}

/// Fills the disks of some members, and empties them.
fn writes_are_refused_and_reads_served(full: impl Fn(ReplicaId, ReplicaId) -> bool) {
    let mut scene = Scene::new(8, &Setup::of(3));
    scene.write(1).unwrap();
    let leader = scene.until_led().unwrap();
    let ids = scene.cluster.ids.clone();
    let full: Vec<_> = ids.into_iter().filter(|id| full(leader, *id)).collect();
    for id in &full {
        scene.sim.set_disk_fault(*id, DiskFault::Full);
    }
    let refused = (2..3000).any(|value| {
        let answer = scene.ask(leader, Some(value));
        scene
            .until("an answer", |_| answer.get().is_some())
            .unwrap();
        answer.get() == Some(false)
    });
    assert!(refused, "the disk has room");
    scene.read().unwrap();
    assert_eq!(scene.cluster.leader(), Some(leader), "it serves reads");
    for id in &full {
        scene.sim.set_disk_fault(*id, DiskFault::None);
    }
    scene.write(3000).unwrap();
    scene.until("agreement", Cluster::is_healed).unwrap();
    assert_eq!(scene.cluster.running().len(), 3, "nobody has stopped");
    scene.read().unwrap();
    scene.judge().unwrap();
}

#[test]
fn members_come_and_go_one_by_one() {
    let setup = Setup {
        spares: 2,
        snapshot_bytes: 2 << 10,
        ..Setup::of(3)
    };
    let mut scene = Scene::new(3, &setup);
    for value in 1..100 {
        scene.write(value).unwrap();
    }
    scene.change(ReplicaId(4)).unwrap();
    scene.change(ReplicaId(5)).unwrap();
    scene.write(100).unwrap();
    let status = scene.cluster.replica(ReplicaId(5)).status();
    assert!(status.keys == 1 && status.applied >= 100, "{status}");
    // Any two of five may be away now.
    let first = scene.until_led().unwrap();
    scene.cluster.crash(first);
    scene.write(101).unwrap();
    scene.cluster.start_replica(first);
    scene.until("agreement", Cluster::is_healed).unwrap();
    // Those who lead leave, one after the other, and disturb nobody afterwards.
    for value in 102..104 {
        let leader = scene.until_led().unwrap();
        scene.change(leader).unwrap();
        scene.write(value).unwrap();
    }
    let (leader, term) = (scene.cluster.leader(), scene.term());
    scene.run(SECOND * 5).unwrap();
    assert_eq!((scene.cluster.leader(), scene.term()), (leader, term));
    scene.read().unwrap();
    scene.judge().unwrap();
}

#[test]
fn leadership_goes_to_whom_it_is_given() {
    for size in [3, 5, 7] {
        let mut scene = Scene::new(4, &Setup::of(size));
        let old = scene.until_led().unwrap();
        scene.write(1).unwrap();
        let heir = scene.follower();
        let raft = scene.cluster.replica(old);
        scene.sim.env().spawn(async move {
            assert!(raft.hand_over(Some(heir)).await);
        });
        scene
            .until("the heir", |cluster| cluster.leader() == Some(heir))
            .unwrap();
        scene.write(2).unwrap();
        scene.read().unwrap();
        scene.judge().unwrap();
    }
}

#[test]
fn a_starved_leader_hands_over_and_stays_down() {
    let setup = Setup {
        mitigation: true,
        ..Setup::of(3)
    };
    let mut scene = Scene::new(5, &setup);
    let slow = scene.until_led().unwrap();
    starve(&scene.sim, slow);
    scene
        .until("a successor", |cluster| {
            cluster.leader().is_some_and(|leader| leader != slow)
        })
        .unwrap();
    let (leader, term) = (scene.cluster.leader(), scene.term());
    scene.run(SECOND * 20).unwrap();
    assert_eq!((scene.cluster.leader(), scene.term()), (leader, term));
}

#[test]
fn a_leader_with_a_slow_disk_hands_over() {
    let setup = Setup {
        mitigation: true,
        ..Setup::of(3)
    };
    let mut scene = Scene::new(6, &setup);
    let slow = scene.until_led().unwrap();
    let speed = DiskSpeed {
        flush: Duration::from_millis(80)..Duration::from_millis(160),
        ..DiskSpeed::default()
    };
    scene.sim.set_disk_speed(slow, speed);
    for value in 1..1000 {
        scene.write(value).unwrap();
        scene.run(Duration::from_millis(10)).unwrap();
        if scene.cluster.leader() != Some(slow) {
            return;
        }
    }
    panic!("{slow} leads on");
}

#[test]
fn where_everybody_is_slow_leadership_does_not_go_round() {
    let setup = Setup {
        mitigation: true,
        ..Setup::of(3)
    };
    let mut scene = Scene::new(7, &setup);
    scene.until_led().unwrap();
    for id in scene.cluster.ids.clone() {
        starve(&scene.sim, id);
    }
    scene.run(SECOND * 60).unwrap();
    let handed_over = scene.invariants.leaders() - 1;
    // The first waits 3 s, each further one twice as long: 3 + 6 + 12 + 24 + 48 s.
    assert!((1..=4).contains(&handed_over), "{handed_over} times");
    scene.write(1).unwrap();
}
