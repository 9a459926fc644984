//! A pilot that becomes slow at once and recovers at once, again and again, under load.

use std::time::Duration;

use depfast::sim::Link;
use depfast_copilot::Durability;

use crate::cluster::Memory;
use crate::pairs::{CLIENTS, Pair};
use crate::scene::{COPILOT, PILOT, Scene, millis};

const SESSIONS: u64 = 6;
const JUMPS: u64 = 5;

/// Nobody loses the role for it, no client waits long, and each connection gets the answer to everything it carried.
#[test]
fn a_delay_that_jumps_stops_nobody() {
    for (size, durability) in [
        (3, Durability::Memory),
        (3, Durability::Fsync),
        (5, Durability::Memory),
    ] {
        for victim in [PILOT, COPILOT] {
            let scene = Scene::with(size, durability, Memory::Long);
            let pairs: Vec<_> = (1..=SESSIONS)
                .map(|session| Pair::start(&scene, session))
                .collect();
            scene.run(millis(300));
            for jump in 0..JUMPS {
                let slow = Link {
                    delay: millis(40)..millis(41),
                    ..Link::default()
                };
                // As a fault on its own traffic delays it: what it sends, not what it gets.
                for other in scene.cluster.ids.iter().copied().chain([CLIENTS]) {
                    scene.sim.set_link(victim, other, slow.clone());
                }
                scene.run(millis(180 + 7 * jump));
                check(
                    &scene,
                    &pairs,
                    &format!("{victim} of {size} slow for the {jump}th time"),
                );
                scene.sim.reset_links();
                scene.run(millis(180 + 5 * jump));
                check(
                    &scene,
                    &pairs,
                    &format!("{victim} of {size} well for the {jump}th time"),
                );
            }
            let answered: u64 = pairs.iter().map(Pair::answered).sum();
            assert!(answered > 10_000, "{answered} commands answered");
            scene.check();
        }
    }
}

fn check(scene: &Scene, pairs: &[Pair], when: &str) {
    let views = scene.views();
    assert!(views.iter().all(|view| *view == 0), "{when}: {views:?}");
    let limit = Duration::from_millis(500);
    for pair in pairs {
        let (gap, wait) = (pair.longest_gap(), pair.longest_wait(scene.sim.now()));
        assert!(gap < limit, "{when}: no answer for {gap:?}");
        assert!(wait < limit, "{when}: a command waits for {wait:?}");
    }
}
