//! Both pilots at the same entry: one takes it over because it is late, and its owner wakes up in the middle of that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use depfast::sim::Link;
use depfast_copilot::ReplicaId;
use depfast_copilot::core::{Ballot, Index, Role};

use crate::moments::PILOTS;
use crate::scene::{COPILOT, PILOT, Scene, millis};

/// The attempts at each entry, after the pilot's proposal, that somebody promised to.
type Attempts = BTreeMap<Index, BTreeSet<Ballot>>;

fn note(scene: &Scene, role: Role, attempts: &mut Attempts) {
    for id in &scene.cluster.ids {
        scene.replica(*id).inspect(|core, _| {
            let log = core.log(role);
            for index in log.base().until(log.known()) {
                let promised = log.get(index).and_then(|entry| entry.promised);
                if let Some(ballot) = promised.filter(|ballot| ballot.round > 0) {
                    attempts.entry(index).or_default().insert(ballot);
                }
            }
        });
    }
}

/// Lets the pilots duel; gives the attempts at entries that both of them tried to decide.
fn duel(seed: u64, size: u32, role: Role, owner: ReplicaId) -> Vec<BTreeSet<Ballot>> {
    let scene = Scene::seeded(seed, size);
    let other = if owner == PILOT { COPILOT } else { PILOT };
    scene.load(owner, 4);
    scene.load(other, 4);
    scene.run(millis(100));
    scene.slow(owner, millis(50));
    let mut attempts = Attempts::new();
    let begun = scene.sim.run_until(Duration::from_secs(2), || {
        note(&scene, role, &mut attempts);
        !attempts.is_empty()
    });
    assert!(begun, "seed {seed}: nobody takes over");
    // A round trip takes longer than the takeover time, so attempts overlap.
    let far = Link {
        delay: millis(20)..millis(40),
        ..Link::default()
    };
    for one in &scene.cluster.ids {
        for another in &scene.cluster.ids {
            scene.sim.set_link(*one, *another, far.clone());
        }
    }
    for _ in 0..100 {
        scene.run(millis(5));
        note(&scene, role, &mut attempts);
    }
    scene.sim.reset_links();
    scene.run(millis(200));
    let (answered, slowest) = scene.run(millis(500));
    assert!(
        answered > 400 && slowest < millis(60),
        "seed {seed}: {answered} writes, the slowest took {slowest:?}"
    );
    scene.check_kept();
    scene.check();
    let by_both = |attempts: &BTreeSet<Ballot>| {
        [PILOT, COPILOT]
            .iter()
            .all(|pilot| attempts.iter().any(|ballot| ballot.proposer == *pilot))
    };
    attempts.into_values().filter(by_both).collect()
}

/// Who comes later waits a random time, on average twice as long each time, so few attempts are made.
#[test]
fn duels_end() {
    let mut duels = Vec::new();
    for size in [3, 5] {
        for (role, owner) in PILOTS {
            duels.extend((0..8).flat_map(|seed| duel(seed, size, role, owner)));
        }
    }
    let rounds = duels.iter().flatten().map(|ballot| ballot.round);
    let most = rounds.max().unwrap_or(0);
    println!("{} duels, at most {most} rounds", duels.len());
    assert!(duels.len() > 20, "too few of them");
    assert!(most <= 4, "too many rounds");
}
