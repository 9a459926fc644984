//! What becomes of a session's command that nobody orders.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene};

/// A pilot that is cut off loses the role, and with it what it was asked. It answers all the same, so that a connection
/// whose client is gone comes to its end; a client that is still there asks again.
#[test]
fn a_lost_command_is_answered_in_the_end() {
    let scene = Scene::new(3);
    let stream = scene.sim.connect(&Cluster::client_address(PILOT)).unwrap();
    assert!(scene.ask_on(&stream, &["DF.SESSION", "7"]).is_some());
    for other in [COPILOT, FOLLOWER] {
        scene.sim.cut(PILOT, other);
        scene.sim.cut(other, PILOT);
    }
    let (sim, env) = (scene.sim.clone(), scene.sim.env());
    scene.sim.env().spawn(async move {
        env.timeout("cut off", Duration::from_secs(5)).await;
        sim.restore();
    });
    let patience = Duration::from_secs(60);
    let increment = ["DF.DO", "1", "INCR", "n"];
    let told = scene.ask_within(patience, &stream, &increment).unwrap();
    assert!(told.starts_with("UNKNOWN"), "{told}");
    assert_eq!(scene.role(PILOT), kv::Role::Follower);
    assert_eq!(scene.ask_on(&stream, &increment).unwrap(), "Integer(1)");
    scene.check();
}
