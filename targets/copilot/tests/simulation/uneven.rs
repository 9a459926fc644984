//! A slow pilot whose messages reach one replica much later than the other, as when TCP holds one of its connections up:
//! dependencies on its entries come from a replica that has them, before they themselves do.

use depfast::sim::Link;

use crate::pairs::{CLIENTS, Pair};
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

const SESSIONS: u64 = 6;

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
            for to in [other, FOLLOWER, CLIENTS] {
                let delay = millis(if to == late { 800 } else { 40 });
                let link = Link {
                    delay: delay..delay + millis(1),
                    ..Link::default()
                };
                scene.sim.set_link(victim, to, link);
            }
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
