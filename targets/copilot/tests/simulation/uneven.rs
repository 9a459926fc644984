//! A slow pilot whose messages reach one replica much later than the other, as when TCP holds one of its connections up:
//! dependencies on its entries come from a replica that has them, before they themselves do.

use std::collections::BTreeSet;
use std::time::Duration;

use depfast::sim::{DiskSpeed, Link};
use depfast_copilot::ReplicaId;
use depfast_copilot::core::{Index, Role};

use crate::pairs::{CLIENTS, Pair};
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

const SESSIONS: u64 = 6;

/// What the victim sends comes late, and to one replica much later.
fn make_uneven(scene: &Scene, victim: ReplicaId, late: ReplicaId) {
    for to in [PILOT, COPILOT, FOLLOWER, CLIENTS] {
        let delay = millis(if to == late { 800 } else { 40 });
        let link = Link {
            delay: delay..delay + millis(1),
            ..Link::default()
        };
        scene.sim.set_link(victim, to, link);
    }
}

/// The other pilot is kept waiting by entry after entry, and soon waits less.
#[test]
fn messages_that_reach_some_late_keep_nobody_waiting() {
    for (victim, other) in [(PILOT, COPILOT), (COPILOT, PILOT)] {
        for late in [other, FOLLOWER] {
            let scene = Scene::new(3);
            let pairs: Vec<_> = (1..=SESSIONS)
                .map(|session| Pair::start(&scene, session))
                .collect();
            let answered = |time| {
                let before: u64 = pairs.iter().map(Pair::answered).sum();
                scene.run(millis(time));
                pairs.iter().map(Pair::answered).sum::<u64>() - before
            };
            answered(200);
            let undisturbed = answered(1000);
            make_uneven(&scene, victim, late);
            answered(200);
            let slow = answered(1000);
            println!("{victim} slow, to {late} very slow: {slow} commands, else {undisturbed}");
            assert!(
                slow > undisturbed / 2,
                "{victim} slow, to {late} very slow: {slow} commands, else {undisturbed}"
            );
            scene.sim.reset_links();
            scene.run(millis(2000));
            scene.check();
        }
    }
}

/// How many entries are decided meanwhile by somebody who takes them over.
fn taken_over(scene: &Scene, time: u64) -> usize {
    let mut found = BTreeSet::new();
    for _ in 0..time {
        scene.sim.run_for(millis(1));
        scene.replica(FOLLOWER).inspect(|core, _| {
            for role in Role::BOTH {
                let log = core.log(role);
                let is_taken_over = |index: &Index| {
                    let entry = log.get(*index).filter(|entry| entry.commit.is_some());
                    let accepted = entry.and_then(|entry| entry.accepted.as_ref());
                    accepted.is_some_and(|(ballot, _)| ballot.round > 0)
                };
                let known = log.base().until(log.known()).filter(is_taken_over);
                found.extend(known.map(|index| (role, index)));
            }
        });
    }
    found.len()
}

/// A pilot that was slow and is well again is waited for again, also where disks need as long as a disk needs.
#[test]
fn a_pilot_that_is_well_again_decides_its_entries_itself() {
    let scene = Scene::durable(3);
    for id in [PILOT, COPILOT, FOLLOWER] {
        let speed = DiskSpeed {
            flush: Duration::from_micros(500)..Duration::from_micros(1500),
            ..DiskSpeed::default()
        };
        scene.sim.set_disk_speed(id, speed);
    }
    let _pairs: Vec<_> = (1..=SESSIONS)
        .map(|session| Pair::start(&scene, session))
        .collect();
    let at_first = taken_over(&scene, 1000);
    make_uneven(&scene, PILOT, COPILOT);
    let slow = taken_over(&scene, 2000);
    scene.sim.reset_links();
    let after = taken_over(&scene, 1000);
    let at_last = taken_over(&scene, 2000);
    println!(
        "{at_first} entries taken over at first, {slow} entries taken over of a slow pilot, {after} soon after, {at_last} at last"
    );
    assert!(slow > 20, "{slow} entries taken over of a slow pilot");
    assert!(at_last < 20, "{at_last} entries are taken over for nothing");
    scene.check();
}
