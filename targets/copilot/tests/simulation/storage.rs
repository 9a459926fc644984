//! What is on the disk, and what becomes of it.

use std::time::Duration;

use depfast::sim::DiskSpeed;
use depfast_copilot::core::{Role, Standing};
use depfast_copilot::{Copilot, Durability, ReplicaId};

use crate::cluster::Memory;
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

/// A change that a replica has made and not flushed.
#[derive(Clone, Copy, Debug)]
enum Unflushed {
    Vote,
    Acceptance,
    Promise,
    ViewPromise,
    Decision,
}

impl Unflushed {
    fn is_in(self, copilot: &Copilot) -> bool {
        if copilot.is_durable() {
            return false;
        }
        copilot.inspect(|core, _| {
            Role::BOTH.into_iter().any(|role| {
                let log = core.log(role);
                let Standing { current, promised } = core.standing(role);
                let mut open = log.executed().until(log.last()).filter_map(|i| log.get(i));
                match self {
                    Self::Vote => open.any(|entry| entry.vote.is_some()),
                    Self::Acceptance => open.any(|entry| entry.accepted.is_some()),
                    Self::Promise => {
                        open.any(|entry| entry.promised.is_some_and(|ballot| ballot.round > 0))
                    }
                    Self::ViewPromise => *promised > current.name(),
                    Self::Decision => log.committed() > log.executed(),
                }
            })
        })
    }
}

/// A replica dies while a change is on its way to the disk: lost, torn or kept, as chance has it.
#[test]
fn whatever_is_unflushed_may_be_lost() {
    for unflushed in [
        Unflushed::Vote,
        Unflushed::Acceptance,
        Unflushed::Promise,
        Unflushed::ViewPromise,
        Unflushed::Decision,
    ] {
        let scene = Scene::durable(3);
        scene.load(FOLLOWER, 4);
        scene.load(COPILOT, 4);
        scene.run(millis(100));
        match unflushed {
            Unflushed::Promise | Unflushed::Acceptance => {
                // What the pilot leaves undecided is taken over.
                let undecided = || {
                    scene.replica(FOLLOWER).inspect(|core, _| {
                        core.log(Role::Pilot).known() > core.log(Role::Pilot).committed()
                    })
                };
                assert!(scene.sim.run_until(Duration::from_secs(1), undecided));
                scene.cluster.crash(PILOT);
            }
            Unflushed::ViewPromise => scene.cluster.crash(PILOT),
            Unflushed::Vote | Unflushed::Decision => {}
        }
        let met = scene.sim.run_until(Duration::from_secs(5), || {
            unflushed.is_in(&scene.replica(FOLLOWER))
        });
        assert!(met, "an unflushed {unflushed:?} is never met");
        scene.cluster.crash(FOLLOWER);
        scene.run(millis(50));
        scene.cluster.start_replica(FOLLOWER);
        scene.run(Duration::from_secs(3));
        let (answered, slowest) = scene.run(millis(500));
        assert!(
            answered > 200 && slowest < millis(60),
            "{unflushed:?}: {answered} writes, the slowest took {slowest:?}"
        );
        scene.check_kept();
        scene.check();
    }
}

#[test]
fn the_log_file_stays_short_and_says_everything() {
    let scene = Scene::with(3, Durability::Fsync, Memory::Short);
    scene.load(FOLLOWER, 4);
    scene.run(Duration::from_secs(5));
    for id in scene.cluster.ids.clone() {
        let replaced = scene.replica(id).compactions();
        assert!(replaced > 10, "{id} replaced its file {replaced} times");
    }
    // Whatever replacement is under way just now, the power fails.
    for round in 0..30 {
        for id in scene.cluster.ids.clone() {
            scene.cluster.crash(id);
        }
        for id in scene.cluster.ids.clone() {
            scene.cluster.start_replica(id);
        }
        scene.sim.run_for(millis(2500));
        scene.check_kept();
        scene.check();
        scene.load([PILOT, COPILOT, FOLLOWER][round % 3], 2);
        scene.run(millis(300 + 7 * round as u64));
    }
}

/// A replica that lagged too far got the state of another one. It has it on its own disk from then on.
#[test]
fn a_received_snapshot_is_kept() {
    let scene = Scene::with(3, Durability::Fsync, Memory::Short);
    scene.load(COPILOT, 4);
    scene.run(millis(200));
    scene.sim.partition(&[FOLLOWER]);
    scene.run(Duration::from_secs(2));
    let applied = |id: ReplicaId| scene.replica(id).inspect(|_, machine| machine.applied);
    let (before, others) = (applied(FOLLOWER), applied(PILOT));
    assert!(others > before + 500, "{before} of {others}");
    scene.sim.partition(&[]);
    let is_back = || applied(FOLLOWER) >= others && scene.replica(FOLLOWER).is_durable();
    assert!(scene.sim.run_until(Duration::from_secs(20), is_back));

    scene.cluster.crash(FOLLOWER);
    scene.sim.partition(&[FOLLOWER]);
    scene.cluster.start_replica(FOLLOWER);
    scene.sim.run_for(millis(500));
    let kept = applied(FOLLOWER);
    assert!(kept >= others, "{kept} of {others} after a restart, alone");
    scene.sim.partition(&[]);
    scene.run(Duration::from_secs(2));
    scene.check_kept();
    scene.check();
}

/// A pilot whose disk has become slow tells whoever asks; the others have nothing to tell.
#[test]
fn a_slow_disk_raises_an_alert() {
    let scene = Scene::durable(3);
    scene.load(FOLLOWER, 4);
    scene.run(Duration::from_secs(3));
    let alerts = |id| scene.ask(id, &["DF.ALERTS"]).unwrap();
    for id in scene.cluster.ids.clone() {
        assert!(alerts(id).contains("\"total\":0"), "{}", alerts(id));
    }
    let speed = DiskSpeed {
        flush: millis(80)..millis(100),
        ..DiskSpeed::default()
    };
    scene.sim.set_disk_speed(PILOT, speed);
    scene.run(Duration::from_secs(5));
    let told = alerts(PILOT);
    assert!(told.contains("log flush"), "{told}");
    for id in [COPILOT, FOLLOWER] {
        assert!(alerts(id).contains("\"total\":0"), "{}", alerts(id));
    }
    scene.check();
}
