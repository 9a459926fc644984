//! A follower that gets so little CPU that it suspects healthy pilots. The reference implementation dies of that.

use std::time::Duration;

use depfast::sim::CpuSpeed;

use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

/// The follower keeps up with next to nothing.
fn starve(scene: &Scene) {
    let speed = CpuSpeed {
        step: Duration::from_micros(20)..Duration::from_micros(40),
        share: 0.05,
    };
    scene.sim.set_cpu(FOLLOWER, Some(speed));
}

#[test]
fn its_suspicion_is_shared_by_nobody() {
    let scene = Scene::new(3);
    scene.load(PILOT, 8);
    scene.load(COPILOT, 8);
    starve(&scene);
    let (answered, slowest) = scene.run(Duration::from_secs(8));
    assert!(
        answered > 8000 && slowest < millis(60),
        "{answered}, {slowest:?}"
    );
    assert!(
        scene.views().iter().all(|view| *view == 0),
        "{:?}",
        scene.views()
    );
    scene.sim.set_cpu(FOLLOWER, None);
    scene.run(Duration::from_secs(3));
    scene.check_kept();
    scene.check();
}

/// Nobody hears the pilot for a while although it is well, so the starved follower does get the role.
#[test]
fn if_it_gets_the_role_all_the_same_the_group_goes_on() {
    let scene = Scene::new(3);
    scene.load(COPILOT, 4);
    scene.load(PILOT, 4);
    scene.run(millis(300));
    starve(&scene);
    for other in [COPILOT, FOLLOWER] {
        scene.sim.cut(PILOT, other);
    }
    let seized = || scene.role(FOLLOWER) == kv::Role::Pilot;
    assert!(scene.sim.run_until(Duration::from_secs(20), seized));
    // The old pilot hears of it: it is alive, steps down, and gives up the entries that nobody else knows.
    scene.sim.restore();
    let deposed = || scene.role(PILOT) == kv::Role::Follower;
    assert!(scene.sim.run_until(Duration::from_secs(20), deposed));
    let (answered, _) = scene.run(Duration::from_secs(4));
    assert!(answered > 1000, "{answered} writes with a starved pilot");

    scene.sim.set_cpu(FOLLOWER, None);
    scene.run(Duration::from_secs(4));
    let (answered, slowest) = scene.run(millis(500));
    assert!(
        answered > 400 && slowest < millis(60),
        "{answered}, {slowest:?}"
    );
    scene.check_kept();
    scene.check();
}
