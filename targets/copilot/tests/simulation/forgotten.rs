//! A takeover of what the others have executed and forgotten.

use std::time::Duration;

use depfast_copilot::core::{Index, Refusal, Role};
use depfast_copilot::{Durability, ReplicaId};

use crate::cluster::Memory;
use crate::invariants::Invariants;
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

/// What keeps the copilot's log waiting at the copilot.
fn blocked(scene: &Scene) -> Option<Index> {
    let blocked = |id: ReplicaId| {
        scene
            .replica(id)
            .inspect(|core, _| core.blocked_on(Role::Copilot))
    };
    blocked(COPILOT).map(|(first, _)| first)
}

/// The copilot begins to take over an entry and is cut off; when it is back, those whom it asks have forgotten the entry.
/// They refuse, and it gets their state instead of deciding anything.
#[test]
fn nobody_decides_anew_what_was_forgotten() {
    for durability in [Durability::Memory, Durability::Fsync] {
        let scene = Scene::with(3, durability, Memory::Short);
        let mut invariants = Invariants::default();
        let mut run = |time| {
            for _ in 0..time {
                scene.run(millis(1));
                invariants.check(&scene.cluster).unwrap();
            }
        };
        scene.load(FOLLOWER, 4);
        run(100);
        scene.sim.cut(PILOT, COPILOT);
        let waits = || blocked(&scene).is_some();
        assert!(scene.sim.run_until(millis(100), waits));
        // The takeover begins, and reaches nobody.
        scene.sim.partition(&[COPILOT]);
        run(690);
        let index = blocked(&scene).expect("it still waits");
        let own = scene.replica(COPILOT).inspect(|core, _| {
            let entry = core.log(Role::Pilot).get(index);
            entry.and_then(|entry| entry.promised)
        });
        let own = own.expect("it takes the entry over");
        for asked in [PILOT, FOLLOWER] {
            let answer = scene
                .replica(asked)
                .inspect(|core, _| core.clone().prepare(Role::Pilot, index, own));
            assert!(matches!(answer, Err(Refusal::Forgotten(_))), "{answer:?}");
        }

        scene.sim.restore();
        let is_back = || blocked(&scene).is_none_or(|first| first > index);
        assert!(scene.sim.run_until(Duration::from_secs(3), is_back));
        run(1000);
        assert!(
            scene.views().iter().all(|view| *view == 0),
            "{:?}",
            scene.views()
        );
        let (answered, slowest) = scene.run(millis(500));
        assert!(
            answered > 300 && slowest < millis(60),
            "{answered} writes, the slowest took {slowest:?}"
        );
        scene.check_kept();
        invariants.check(&scene.cluster).unwrap();
        invariants.check_order().unwrap();
    }
}
