//! A pilot fails, or becomes slow, at each moment in the life of an entry.

use std::time::Duration;

use depfast::sim::Link;
use depfast_copilot::ReplicaId;
use depfast_copilot::core::{Acceptor, Entry, Index, Role};

use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

/// A moment in the life of an entry, seen from its pilot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Proposed, but nobody else knows it.
    Proposed,
    /// Others have voted; their answers are on their way.
    Voted,
    /// Others have accepted its final dependency.
    Accepted,
    /// Decided, but nobody else knows it.
    Decided,
    /// Executed, but nobody is answered: it might still be forgotten.
    Executed,
}

const MOMENTS: [Moment; 5] = [
    Moment::Proposed,
    Moment::Voted,
    Moment::Accepted,
    Moment::Decided,
    Moment::Executed,
];

pub(crate) const PILOTS: [(Role, ReplicaId); 2] = [(Role::Pilot, PILOT), (Role::Copilot, COPILOT)];

impl Moment {
    /// Whether an entry after `from` is at this moment.
    fn is_now(self, scene: &Scene, role: Role, pilot: ReplicaId, from: Index) -> bool {
        let copilot = scene.replica(pilot);
        let (known, executed) =
            copilot.inspect(|core, _| (core.log(role).known(), core.log(role).executed()));
        from.until(known).any(|index| {
            let entry = |id: ReplicaId| {
                let entry =
                    |core: &Acceptor| core.log(role).get(index).cloned().unwrap_or_default();
                scene.replica(id).inspect(|core, _| entry(core))
            };
            let own = entry(pilot);
            let others: Vec<Entry> = scene
                .cluster
                .ids
                .iter()
                .filter(|id| **id != pilot)
                .map(|id| entry(*id))
                .collect();
            let decided = own.commit.is_some();
            match self {
                Self::Proposed => !others.iter().any(Entry::is_known),
                Self::Voted => !decided && others.iter().any(|entry| entry.vote.is_some()),
                Self::Accepted => !decided && others.iter().any(|entry| entry.accepted.is_some()),
                Self::Decided => decided && others.iter().all(|entry| entry.commit.is_none()),
                Self::Executed => executed >= index && !copilot.is_durable(),
            }
        })
    }
}

/// A durable group under load in which an entry of a pilot is at a moment right now.
fn at(moment: Moment, role: Role, pilot: ReplicaId, size: u32) -> Scene {
    let scene = Scene::durable(size);
    if moment == Moment::Accepted {
        // The pilots propose without having heard each other, so that entries need the regular path.
        let far = Link {
            delay: millis(3)..millis(4),
            ..Link::default()
        };
        scene.sim.set_link(PILOT, COPILOT, far.clone());
        scene.sim.set_link(COPILOT, PILOT, far);
    }
    let other = if pilot == PILOT { COPILOT } else { PILOT };
    scene.load(other, 4);
    scene.load(FOLLOWER, 4);
    scene.run(millis(100));
    let from = scene
        .replica(pilot)
        .inspect(|core, _| core.log(role).known());
    let met = scene.sim.run_until(Duration::from_secs(1), || {
        moment.is_now(&scene, role, pilot, from)
    });
    assert!(met, "{moment:?} of the {role} is never met");
    scene
}

/// All clients are served, soon.
fn assert_serves(scene: &Scene, situation: &str) {
    let (answered, slowest) = scene.run(millis(500));
    assert!(
        answered > 400 && slowest < millis(60),
        "{situation}: {answered} writes, the slowest took {slowest:?}"
    );
}

#[test]
fn a_pilot_may_become_slow_at_any_moment() {
    for (role, pilot) in PILOTS {
        for moment in MOMENTS {
            let scene = at(moment, role, pilot, 3);
            let situation = format!("{role} slow, {moment:?}");
            scene.slow(pilot, millis(50));
            // Takeovers take 10 ms and some round trips each, until the pilot's entries are known to hold nothing new.
            assert_serves(&scene, &situation);
            let (answered, slowest) = scene.run(millis(500));
            assert!(
                answered > 400 && slowest < millis(30),
                "{situation}, later: {answered} writes, the slowest took {slowest:?}"
            );
            assert!(scene.views().iter().all(|view| *view == 0), "{situation}");
            scene.check_kept();
            scene.check();
        }
    }
}

#[test]
fn a_pilot_may_die_at_any_moment() {
    for size in [3, 5] {
        for (role, pilot) in PILOTS {
            for moment in MOMENTS {
                let scene = at(moment, role, pilot, size);
                scene.cluster.crash(pilot);
                scene.run(Duration::from_secs(3));
                assert_serves(&scene, &format!("{role} of {size} dead, {moment:?}"));
                let running = scene.cluster.running();
                let successors = running
                    .iter()
                    .filter(|(_, copilot)| copilot.serves(role).is_some());
                assert_eq!(successors.count(), 1, "one has the free role");
                scene.check_kept();
                scene.check();
            }
        }
    }
}

#[test]
fn a_pilot_may_restart_at_any_moment() {
    for (role, pilot) in PILOTS {
        for moment in MOMENTS {
            let scene = at(moment, role, pilot, 3);
            let before = scene.replica(pilot).serves(role);
            scene.cluster.crash(pilot);
            scene.run(millis(50));
            scene.cluster.start_replica(pilot);
            for _ in 0..100 {
                scene.run(millis(30));
                let now = scene.replica(pilot).serves(role);
                assert!(now.is_none() || now > before, "it proposes in its old view");
            }
            assert_serves(&scene, &format!("{role} back, {moment:?}"));
            scene.check_kept();
            scene.check();
        }
    }
}

/// The power fails at each moment, and one replica never comes back.
#[test]
fn two_of_three_know_everything_after_a_power_failure() {
    for (role, pilot) in PILOTS {
        for moment in MOMENTS {
            for absent in [PILOT, COPILOT, FOLLOWER] {
                let scene = at(moment, role, pilot, 3);
                let ids = scene.cluster.ids.clone();
                for id in &ids {
                    scene.cluster.crash(*id);
                }
                for id in ids.into_iter().filter(|id| *id != absent) {
                    scene.cluster.start_replica(id);
                }
                scene.sim.run_for(Duration::from_secs(4));
                scene.check_kept();
                scene.check();
            }
        }
    }
}

/// A pilot that takes an entry over dies once somebody who has not got the entry has promised to take part, and a follower
/// dies with it: the three that are left need each other, and nobody has the dead one's role yet.
#[test]
fn who_takes_over_may_die_in_the_middle() {
    for (role, owner) in PILOTS {
        let scene = Scene::new(5);
        let other = if owner == PILOT { COPILOT } else { PILOT };
        for at in [owner, other, FOLLOWER] {
            scene.load(at, 4);
        }
        scene.run(millis(100));
        for to in scene.cluster.ids.clone() {
            let delay = millis(if to == FOLLOWER { 200 } else { 40 });
            let slow = Link {
                delay: delay..delay + millis(1),
                ..Link::default()
            };
            scene.sim.set_link(owner, to, slow);
        }
        let promised = |core: &Acceptor| {
            let log = core.log(role);
            let entries = log.executed().until(log.last());
            entries.filter_map(|index| log.get(index)).any(|entry| {
                !entry.is_known() && entry.promised.is_some_and(|ballot| ballot.round > 0)
            })
        };
        let met = scene.sim.run_until(Duration::from_secs(2), || {
            scene.replica(FOLLOWER).inspect(|core, _| promised(core))
        });
        assert!(met, "nobody takes over the {role}'s entry");
        scene.cluster.crash(other);
        scene.cluster.crash(ReplicaId(5));
        scene.sim.reset_links();
        scene.run(millis(400));
        let (answered, slowest) = scene.run(millis(300));
        assert!(
            answered > 200 && slowest < millis(60),
            "{other} dead: {answered} writes, the slowest took {slowest:?}"
        );
        assert!(
            scene.views().iter().all(|view| *view == 0),
            "{other} has no successor yet"
        );
        scene.check_kept();
        scene.check();
    }
}
