//! Situations that random faults meet too rarely. Time is virtual here, so it may be asserted.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use depfast::Stream;
use depfast::sim::{Link, Sim};
use depfast_copilot::core::{Index, Role};
use depfast_copilot::{Durability, ReplicaId};
use kv::Replica;
use resp::{encode, parse_reply};

use crate::cluster::{Cluster, Memory};
use crate::invariants::Invariants;

const PILOT: ReplicaId = ReplicaId(1);
const COPILOT: ReplicaId = ReplicaId(2);
const FOLLOWER: ReplicaId = ReplicaId(3);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A group and what its clients saw.
struct Scene {
    sim: Sim,
    cluster: Cluster,
    /// How long each write took.
    took: Rc<RefCell<Vec<Duration>>>,
}

impl Scene {
    fn new(size: u32) -> Self {
        let sim = Sim::new(42);
        let cluster = Cluster::start(&sim, size, Durability::Memory, Memory::Long);
        sim.run_for(millis(20));
        Self {
            sim,
            cluster,
            took: Rc::default(),
        }
    }

    /// Clients at a replica that write one thing after the other, each its own keys.
    fn load(&self, at: ReplicaId, clients: u32) {
        for client in 0..clients {
            let stream = self.sim.connect(&Cluster::client_address(at)).unwrap();
            let (env, took) = (self.sim.env(), Rc::clone(&self.took));
            self.sim.env().spawn(async move {
                for number in 0u64.. {
                    let start = env.now();
                    let (key, value) = (format!("{at}-{client}"), number.to_string());
                    if ask(&stream, &["SET", &key, &value]).await.as_deref() != Some("OK") {
                        return;
                    }
                    took.borrow_mut().push(env.now() - start);
                    env.timeout("think", Duration::from_micros(700)).await;
                }
            });
        }
    }

    /// How many writes were answered within `time`, and how long the slowest of them took.
    fn run(&self, time: Duration) -> (usize, Duration) {
        self.took.borrow_mut().clear();
        self.sim.run_for(time);
        let took = self.took.borrow();
        (took.len(), took.iter().max().copied().unwrap_or_default())
    }

    fn slow(&self, victim: ReplicaId, delay: Duration) {
        let link = Link {
            delay: delay..delay + millis(1),
            ..Link::default()
        };
        for other in &self.cluster.ids {
            self.sim.set_link(victim, *other, link.clone());
            self.sim.set_link(*other, victim, link.clone());
        }
    }

    fn ask(&self, at: ReplicaId, words: &'static [&'static str]) -> Option<String> {
        let stream = self.sim.connect(&Cluster::client_address(at)).ok()?;
        self.ask_on(&stream, words)
    }

    fn ask_on(&self, stream: &Stream, words: &'static [&'static str]) -> Option<String> {
        let answer = Rc::new(RefCell::new(None));
        let (stream, answered) = (stream.clone(), Rc::clone(&answer));
        self.sim.env().spawn(async move {
            *answered.borrow_mut() = Some(ask(&stream, words).await);
        });
        self.sim
            .run_until(Duration::from_secs(10), || answer.borrow().is_some());
        answer.take().flatten()
    }

    fn views(&self) -> Vec<u64> {
        let running = self.cluster.running();
        running
            .iter()
            .flat_map(|(_, copilot)| {
                copilot.inspect(|core, _| {
                    Role::BOTH.map(|role| {
                        let standing = core.standing(role);
                        standing.current.number.max(standing.promised.0)
                    })
                })
            })
            .collect()
    }

    fn role(&self, id: ReplicaId) -> kv::Role {
        let running = self.cluster.running();
        let (_, copilot) = running.iter().find(|(known, _)| *known == id).unwrap();
        copilot.status().role
    }

    /// Everything was done right so far.
    fn check(&self) -> Invariants {
        let mut invariants = Invariants::default();
        invariants.check(&self.cluster).unwrap();
        invariants
    }

    /// How many entries were decided, and how many of them not on the fast path.
    fn paths(&self) -> (usize, usize) {
        let running = self.cluster.running();
        let (_, copilot) = &running[0];
        copilot.inspect(|core, _| {
            let mut all = 0;
            let mut regular = 0;
            for role in Role::BOTH {
                let log = core.log(role);
                for index in Index::ZERO.until(log.committed()) {
                    all += 1;
                    let entry = log.get(index).unwrap();
                    regular += usize::from(entry.accepted.is_some());
                }
            }
            (all, regular)
        })
    }
}

async fn ask(stream: &Stream, words: &[&str]) -> Option<String> {
    let mut out = BytesMut::new();
    encode::array(&mut out, words.len());
    for word in words {
        encode::bulk(&mut out, word.as_bytes());
    }
    stream.write_all(&out).await.ok()?;
    let mut input = BytesMut::new();
    loop {
        if stream.read(&mut input).await.ok()? == 0 {
            return None;
        }
        if let Some((reply, _)) = parse_reply(&input).unwrap() {
            return Some(match reply {
                resp::Reply::Simple(text) | resp::Reply::Bulk(text) => {
                    String::from_utf8_lossy(text).into_owned()
                }
                other => format!("{other:?}"),
            });
        }
    }
}

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
    let scene = Scene::new(3);
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
