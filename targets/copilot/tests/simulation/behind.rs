//! Replicas that lack what the others have forgotten.

use std::ops::Range;
use std::time::Duration;

use bytes::BytesMut;
use depfast::Stream;
use depfast::sim::Link;
use depfast_copilot::Durability;
use depfast_copilot::ReplicaId;
use depfast_copilot::core::{Index, Role};
use resp::encode;

use crate::cluster::{Cluster, Memory};
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

/// A session's connection to a replica.
fn session(scene: &Scene, at: ReplicaId) -> Stream {
    let stream = scene.sim.connect(&Cluster::client_address(at)).unwrap();
    assert!(scene.ask_on(&stream, &["DF.SESSION", "77"]).is_some());
    stream
}

/// Has one pilot propose commands, each in an entry of its own.
fn propose(scene: &Scene, stream: &Stream, numbers: Range<u64>) {
    for number in numbers {
        let (number, stream) = (number.to_string(), stream.clone());
        scene.sim.env().spawn(async move {
            let mut out = BytesMut::new();
            encode::command(
                &mut out,
                [b"DF.DO", number.as_bytes(), b"SET", b"k", number.as_bytes()],
            );
            stream.write_all(&out).await.unwrap();
        });
        scene.sim.run_for(millis(2));
    }
    scene.sim.run_for(millis(10));
}

/// Up to where a replica has forgotten a log, and executed it.
fn stands(scene: &Scene, id: ReplicaId, role: Role) -> (Index, Index) {
    scene
        .replica(id)
        .inspect(|core, _| (core.log(role).base(), core.log(role).executed()))
}

/// Each of two replicas is ahead in one log by more than it has kept, and nobody else is left.
#[test]
fn two_that_are_ahead_of_each_other_agree() {
    for durability in [Durability::Memory, Durability::Fsync] {
        let scene = Scene::with(3, durability, Memory::Short);
        let (to_pilot, to_copilot) = (session(&scene, PILOT), session(&scene, COPILOT));
        scene.sim.run_for(millis(200));
        let late = Link {
            delay: millis(300)..millis(301),
            ..Link::default()
        };
        // The pilot proposes what it cannot decide yet ...
        scene.sim.set_link(FOLLOWER, PILOT, late.clone());
        scene.sim.cut(COPILOT, PILOT);
        propose(&scene, &to_pilot, 1..41);
        // ... and then the copilot proposes the same commands, which it has not executed. Everybody votes for them.
        scene.sim.restore();
        scene.sim.cut(PILOT, COPILOT);
        scene.sim.set_link(FOLLOWER, COPILOT, late);
        propose(&scene, &to_copilot, 1..41);
        // The pilot decides its entries; the copilot hears that, decides its own, and tells nobody.
        scene.sim.restore();
        scene.sim.cut(COPILOT, PILOT);
        scene.sim.cut(COPILOT, FOLLOWER);
        let done = |id, role| stands(&scene, id, role).1 >= Index(40);
        let both = || Role::BOTH.into_iter().all(|role| done(COPILOT, role));
        let decided = scene.sim.run_until(millis(600), both);
        assert!(decided, "{}", scene.cluster.describe());
        // The others go on and do not wait for what the copilot told nobody.
        scene.sim.partition(&[COPILOT]);
        scene.sim.reset_links();
        propose(&scene, &to_pilot, 41..81);
        scene.sim.run_for(millis(150));
        scene.cluster.crash(FOLLOWER);
        for (ahead, behind, role) in [
            (PILOT, COPILOT, Role::Pilot),
            (COPILOT, PILOT, Role::Copilot),
        ] {
            let forgotten = stands(&scene, ahead, role).0;
            let missing = stands(&scene, behind, role).1.next();
            assert!(missing <= forgotten, "{role}: {}", scene.cluster.describe());
        }

        scene.sim.restore();
        scene.sim.partition(&[]);
        let agree = || scene.cluster.is_healed();
        let agreed = scene.sim.run_until(Duration::from_secs(10), agree);
        assert!(agreed, "{}", scene.cluster.describe());
        let last = scene.ask(COPILOT, &["GET", "k"]);
        assert_eq!(last.as_deref(), Some("80"));
        scene.check();
    }
}
