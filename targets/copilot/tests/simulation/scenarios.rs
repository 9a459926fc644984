//! Situations that random faults meet too rarely.

use std::time::Duration;

use depfast::sim::{DiskSpeed, Link};
use depfast_copilot::ReplicaId;
use depfast_copilot::core::Role;
use depfast_copilot::machine::Machine;

use crate::cluster::Cluster;
use crate::scene::{COPILOT, FOLLOWER, PILOT, Scene, millis};

/// Ping-pong: proposals take turns, so all agree and one round trip is enough.
#[test]
fn proposals_that_take_turns_use_the_fast_path() {
    for size in [3, 5] {
        let scene = Scene::new(size);
        scene.load(FOLLOWER, 1);
        let (answered, _) = scene.run(millis(60));
        assert!(answered > 10, "{answered} writes");
        let (all, regular) = scene.paths();
        assert!(
            all > 20 && regular == 0,
            "{regular} of {all} on the regular path"
        );
    }
}

#[test]
fn proposals_at_the_same_time_are_ordered_alike_everywhere() {
    for size in [3, 5] {
        let scene = Scene::new(size);
        // Messages between the pilots take longer than the batching time, so they propose without having heard each other.
        let far = Link {
            delay: millis(3)..millis(4),
            ..Link::default()
        };
        scene.sim.set_link(PILOT, COPILOT, far.clone());
        scene.sim.set_link(COPILOT, PILOT, far);
        scene.load(PILOT, 4);
        scene.load(COPILOT, 4);
        let (answered, _) = scene.run(millis(90));
        assert!(answered > 20, "{answered} writes");
        let (all, regular) = scene.paths();
        assert!(regular > 0, "none of {all} entries in conflict");
        scene.check();
    }
}

/// What the protocol is for: whoever is slow, clients of the others hardly notice.
#[test]
fn one_slow_replica_slows_nobody() {
    for size in [3, 5] {
        for victim in [PILOT, COPILOT, FOLLOWER] {
            let scene = Scene::new(size);
            let client = if victim == FOLLOWER {
                COPILOT
            } else {
                FOLLOWER
            };
            scene.load(client, 8);
            scene.run(millis(200));
            scene.slow(victim, millis(50));
            // Takeovers at first, then the slow pilot's entries are known to hold nothing new.
            scene.run(millis(500));
            let (answered, slowest) = scene.run(millis(500));
            assert!(
                answered > 500 && slowest < millis(30),
                "{victim} of {size} slow: {answered} writes, the slowest took {slowest:?}"
            );
            assert!(
                scene.views().iter().all(|view| *view == 0),
                "nobody was deposed"
            );
            scene.check();
        }
    }
}

#[test]
fn both_pilots_slow_is_slow_but_safe() {
    let scene = Scene::new(5);
    scene.load(FOLLOWER, 8);
    scene.slow(PILOT, millis(20));
    scene.slow(COPILOT, millis(20));
    let (answered, _) = scene.run(Duration::from_secs(2));
    assert!(answered > 50, "{answered} writes");
    assert!(
        scene.views().iter().all(|view| *view == 0),
        "heartbeats arrive"
    );
    scene.check();
}

#[test]
fn pilots_that_do_not_hear_each_other_go_on() {
    for size in [3, 5] {
        let scene = Scene::new(size);
        let cut = Link {
            loss: 1.0,
            ..Link::default()
        };
        scene.sim.set_link(PILOT, COPILOT, cut.clone());
        scene.sim.set_link(COPILOT, PILOT, cut);
        scene.load(FOLLOWER, 4);
        let (answered, _) = scene.run(Duration::from_secs(2));
        assert!(answered > 100, "{answered} writes");
        scene.check();
    }
}

/// Two of five followers are gone and entries conflict: no fast quorum can be reached any more.
#[test]
fn a_bare_majority_is_enough() {
    let scene = Scene::new(5);
    scene.cluster.crash(ReplicaId(4));
    scene.cluster.crash(ReplicaId(5));
    scene.load(PILOT, 4);
    scene.load(COPILOT, 4);
    let (answered, _) = scene.run(Duration::from_secs(1));
    assert!(answered > 100, "{answered} writes");
    scene.check();
}

/// Every acknowledged write is there after either pilot dies, and somebody else takes its role.
#[test]
fn a_dead_pilot_is_replaced_and_nothing_is_lost() {
    for victim in [PILOT, COPILOT] {
        let scene = Scene::new(3);
        scene.load(FOLLOWER, 4);
        scene.run(millis(300));
        assert_eq!(
            scene.ask(victim, &["SET", "kept", "1"]).as_deref(),
            Some("OK")
        );
        scene.cluster.crash(victim);
        scene.run(Duration::from_secs(3));
        assert_ne!(
            scene.role(FOLLOWER),
            kv::Role::Follower,
            "it has the free role"
        );
        let (answered, slowest) = scene.run(millis(500));
        assert!(
            answered > 500 && slowest < millis(30),
            "{answered}, {slowest:?}"
        );
        assert_eq!(scene.ask(FOLLOWER, &["GET", "kept"]).as_deref(), Some("1"));
        scene.check();
    }
}

/// A follower that hears nothing in time suspects everyone, but nobody believes it.
#[test]
fn a_starved_follower_deposes_nobody() {
    let scene = Scene::new(3);
    scene.load(PILOT, 4);
    let late = Link {
        delay: Duration::from_secs(4)..Duration::from_secs(5),
        ..Link::default()
    };
    scene.sim.set_link(PILOT, FOLLOWER, late.clone());
    scene.sim.set_link(COPILOT, FOLLOWER, late);
    let (answered, _) = scene.run(Duration::from_secs(6));
    assert!(answered > 2000, "{answered} writes");
    assert!(
        scene.views().iter().all(|view| *view == 0),
        "{:?}",
        scene.views()
    );
    scene.sim.reset_links();
    scene.run(Duration::from_secs(6));
    scene.check();
}

/// A pilot that was cut off for long and comes back finds another one in its place and goes on as a follower.
#[test]
fn a_pilot_that_comes_back_makes_room() {
    let scene = Scene::new(3);
    scene.load(FOLLOWER, 4);
    scene.run(millis(100));
    scene.sim.partition(&[PILOT]);
    scene.run(Duration::from_secs(8));
    assert_eq!(scene.role(FOLLOWER), kv::Role::Pilot);
    scene.sim.partition(&[]);
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.role(PILOT), kv::Role::Follower);
    assert_eq!(
        scene.ask(PILOT, &["SET", "back", "1"]).as_deref(),
        Some("OK")
    );
    let (answered, _) = scene.run(millis(500));
    assert!(answered > 500, "{answered} writes");
    scene.check();
}

/// A session's command that is sent to both pilots, and again, takes effect once and has one answer.
#[test]
fn a_repeated_command_gets_its_first_answer() {
    let scene = Scene::new(3);
    let [one, other, third] = [PILOT, COPILOT, FOLLOWER]
        .map(|id| scene.sim.connect(&Cluster::client_address(id)).unwrap());
    for stream in [&one, &other, &third] {
        assert!(scene.ask_on(stream, &["DF.SESSION", "77"]).is_some());
    }
    let first = scene.ask_on(&one, &["DF.DO", "1", "INCR", "n"]).unwrap();
    for stream in [&other, &one, &third, &other] {
        assert_eq!(
            scene.ask_on(stream, &["DF.DO", "1", "INCR", "n"]),
            Some(first.clone())
        );
    }
    assert_ne!(
        scene.ask_on(&third, &["DF.DO", "2", "INCR", "n"]).unwrap(),
        first
    );
    assert_eq!(scene.ask(COPILOT, &["GET", "n"]).as_deref(), Some("2"));
    scene.check();
}

/// The same command reaches a pilot when it has executed it, through the other one, and not yet flushed that.
#[test]
fn a_command_that_is_executed_and_not_yet_durable_is_answered() {
    let scene = Scene::durable(3);
    let [to_pilot, to_copilot] =
        [PILOT, COPILOT].map(|id| scene.sim.connect(&Cluster::client_address(id)).unwrap());
    for stream in [&to_pilot, &to_copilot] {
        assert!(scene.ask_on(stream, &["DF.SESSION", "77"]).is_some());
    }
    scene.run(millis(100));
    let speed = DiskSpeed {
        flush: millis(200)..millis(201),
        ..DiskSpeed::default()
    };
    scene.sim.set_disk_speed(PILOT, speed);
    let applied = || scene.replica(PILOT).inspect(|_, machine| machine.applied);
    let before = applied();
    assert!(
        scene
            .ask_on(&to_copilot, &["DF.DO", "1", "INCR", "n"])
            .is_some()
    );
    let executed = scene
        .sim
        .run_until(Duration::from_secs(2), || applied() > before);
    assert!(executed && !scene.replica(PILOT).is_durable());
    let again = scene.ask_on(&to_pilot, &["DF.DO", "1", "INCR", "n"]);
    assert_eq!(again.as_deref(), Some("Integer(1)"));
    scene.check();
}

/// A pilot that lags reads a command when its client has long had the answer, from the other one.
#[test]
fn a_command_whose_answer_is_acknowledged_holds_up_nobody() {
    let scene = Scene::new(3);
    let [to_pilot, to_copilot] =
        [PILOT, COPILOT].map(|id| scene.sim.connect(&Cluster::client_address(id)).unwrap());
    for stream in [&to_pilot, &to_copilot] {
        assert!(scene.ask_on(stream, &["DF.SESSION", "77"]).is_some());
    }
    for number in ["1", "2", "3"] {
        let command = ["DF.DO", number, number, "INCR", "n"];
        assert!(scene.ask_on(&to_copilot, &command).is_some());
    }
    scene.run(millis(200));
    let late = scene.ask_on(&to_pilot, &["DF.DO", "1", "1", "INCR", "n"]);
    let late = late.expect("an answer");
    assert!(late.starts_with("STALE"), "{late}");
    scene.check();
}

/// What a replica does when there is nothing to do, so that idle ones cost nothing: heartbeats.
#[test]
fn idle_replicas_only_beat() {
    let scene = Scene::new(3);
    let before = scene.sim.steps();
    scene.sim.run_for(Duration::from_secs(10));
    let steps = scene.sim.steps() - before;
    assert!(
        steps < 10 * 3 * 100,
        "{steps} steps of three replicas in 10 s"
    );
}

/// What has to reach another replica as one message has an end, however much clients write at once.
#[test]
fn large_values_go_in_parts() {
    let scene = Scene::new(3);
    let value = "v".repeat(300 << 10);
    for client in 0..30 {
        let stream = scene
            .sim
            .connect(&Cluster::client_address(FOLLOWER))
            .unwrap();
        scene.ask_soon(&stream, &["SET", &format!("large-{client}"), &value]);
    }
    let mut longest = 0;
    for _ in 0..500 {
        scene.run(millis(1));
        scene.replica(FOLLOWER).inspect(|core, _| {
            for role in Role::BOTH {
                let log = core.log(role);
                let entries = log.base().until(log.committed());
                let decisions = entries.filter_map(|index| core.decision(role, index));
                let values = decisions.filter_map(|commit| commit.choice.value.as_ref());
                let lengths = values.map(|value| value.batch.bytes().len());
                longest = lengths.fold(longest, usize::max);
            }
        });
    }
    let keys = |_: &_, machine: &Machine| machine.store.len();
    assert_eq!(scene.replica(FOLLOWER).inspect(keys), 30);
    assert!(longest > 600 << 10 && longest <= 1 << 20, "{longest} bytes");
    scene.check();
}
