//! Both pilots are lost at once.

use std::time::Duration;

use depfast_copilot::Durability;
use kv::{Replica, Role};

use crate::cluster::Memory;
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

fn assert_serves(scene: &Scene) {
    let (answered, slowest) = scene.run(millis(500));
    assert!(
        answered > 300 && slowest < millis(60),
        "{answered} writes, the slowest took {slowest:?}"
    );
}

/// Each role goes to another follower, though the three that are left are the barest majority.
#[test]
fn both_pilots_of_five_are_succeeded() {
    for durability in [Durability::Memory, Durability::Fsync] {
        let scene = Scene::with(5, durability, Memory::Long);
        scene.load(FOLLOWER, 4);
        scene.run(millis(300));
        for pilot in [PILOT, COPILOT] {
            scene.cluster.crash(pilot);
        }
        let serves = |role| {
            let running = scene.cluster.running();
            let mut roles = running.iter().map(|(_, copilot)| copilot.status().role);
            roles.any(|known| known == role)
        };
        let succeeded = || serves(Role::Pilot) && serves(Role::Copilot);
        let succeeded = scene.sim.run_until(Duration::from_secs(5), succeeded);
        assert!(succeeded, "{}", scene.cluster.describe());
        // Replicas send again at once what their clients asked.
        scene.run(millis(300));
        assert_serves(&scene);

        if durability == Durability::Fsync {
            for pilot in [PILOT, COPILOT] {
                scene.cluster.start_replica(pilot);
            }
            scene.run(Duration::from_secs(1));
            for pilot in [PILOT, COPILOT] {
                assert_eq!(scene.role(pilot), Role::Follower);
            }
            assert_serves(&scene);
        }
        scene.check_kept();
        scene.check();
    }
}
