//! A group in a situation of its own, and what its clients see. Time is virtual here, so it may be asserted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use depfast::Stream;
use depfast::sim::{Link, Sim};
use depfast_copilot::core::{Index, Role};
use depfast_copilot::{Copilot, Durability, Mutation, ReplicaId};
use kv::Replica;
use resp::{encode, parse_reply};

use crate::cluster::{Cluster, Memory, Nature};
use crate::invariants::Invariants;

pub(crate) const PILOT: ReplicaId = ReplicaId(1);
pub(crate) const COPILOT: ReplicaId = ReplicaId(2);
pub(crate) const FOLLOWER: ReplicaId = ReplicaId(3);

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A group and what its clients saw.
pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) cluster: Cluster,
    /// How long each write took.
    took: Rc<RefCell<Vec<Duration>>>,
    /// The last acknowledged value of each key; its values count up.
    acknowledged: Rc<RefCell<BTreeMap<String, u64>>>,
}

impl Scene {
    pub(crate) fn new(size: u32) -> Self {
        Self::with(size, Durability::Memory, Memory::Long)
    }

    pub(crate) fn durable(size: u32) -> Self {
        Self::with(size, Durability::Fsync, Memory::Long)
    }

    pub(crate) fn with(size: u32, durability: Durability, memory: Memory) -> Self {
        Self::of(42, Nature::new(size, durability, memory))
    }

    /// What is left to chance is drawn with this seed.
    pub(crate) fn seeded(seed: u64, size: u32) -> Self {
        let nature = Nature::new(size, Durability::Memory, Memory::Long);
        Self::of(seed, nature)
    }

    /// Replicas that all make the same mistake.
    pub(crate) fn erring(size: u32, mutation: Option<Mutation>) -> Self {
        let nature = Nature::new(size, Durability::Memory, Memory::Long);
        Self::of(42, Nature { mutation, ..nature })
    }

    fn of(seed: u64, nature: Nature) -> Self {
        let sim = Sim::new(seed);
        let cluster = Cluster::start(&sim, nature);
        sim.run_for(millis(20));
        Self {
            sim,
            cluster,
            took: Rc::default(),
            acknowledged: Rc::default(),
        }
    }

    /// Clients at a replica that write one thing after the other, each its own keys.
    pub(crate) fn load(&self, at: ReplicaId, clients: u32) {
        for client in 0..clients {
            let stream = self.sim.connect(&Cluster::client_address(at)).unwrap();
            let (env, took) = (self.sim.env(), Rc::clone(&self.took));
            let acknowledged = Rc::clone(&self.acknowledged);
            self.sim.env().spawn(async move {
                for number in 0u64.. {
                    let start = env.now();
                    let (key, value) = (format!("{at}-{client}"), number.to_string());
                    if ask(&stream, &["SET", &key, &value]).await.as_deref() != Some("OK") {
                        return;
                    }
                    took.borrow_mut().push(env.now() - start);
                    acknowledged.borrow_mut().insert(key, number);
                    env.timeout("think", Duration::from_micros(700)).await;
                }
            });
        }
    }

    /// How many writes were answered within `time`, and how long the slowest of them took.
    pub(crate) fn run(&self, time: Duration) -> (usize, Duration) {
        self.took.borrow_mut().clear();
        self.sim.run_for(time);
        let took = self.took.borrow();
        (took.len(), took.iter().max().copied().unwrap_or_default())
    }

    pub(crate) fn slow(&self, victim: ReplicaId, delay: Duration) {
        let link = Link {
            delay: delay..delay + millis(1),
            ..Link::default()
        };
        for other in &self.cluster.ids {
            self.sim.set_link(victim, *other, link.clone());
            self.sim.set_link(*other, victim, link.clone());
        }
    }

    pub(crate) fn ask(&self, at: ReplicaId, words: &[&str]) -> Option<String> {
        let stream = self.sim.connect(&Cluster::client_address(at)).ok()?;
        self.ask_on(&stream, words)
    }

    pub(crate) fn ask_on(&self, stream: &Stream, words: &[&str]) -> Option<String> {
        self.ask_within(Duration::from_secs(10), stream, words)
    }

    pub(crate) fn ask_within(
        &self,
        patience: Duration,
        stream: &Stream,
        words: &[&str],
    ) -> Option<String> {
        let answer = Rc::new(RefCell::new(None));
        let (stream, answered) = (stream.clone(), Rc::clone(&answer));
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        self.sim.env().spawn(async move {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            *answered.borrow_mut() = Some(ask(&stream, &words).await);
        });
        self.sim.run_until(patience, || answer.borrow().is_some());
        answer.take().flatten()
    }

    /// Asks without waiting for the answer.
    pub(crate) fn ask_soon(&self, stream: &Stream, words: &[&str]) {
        let stream = stream.clone();
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        self.sim.env().spawn(async move {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let _whatever = ask(&stream, &words).await;
        });
    }

    pub(crate) fn views(&self) -> Vec<u64> {
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

    /// A replica that runs.
    pub(crate) fn replica(&self, id: ReplicaId) -> Rc<Copilot> {
        let running = self.cluster.running();
        let found = running.into_iter().find(|(known, _)| *known == id);
        found.expect("it runs").1
    }

    /// Every acknowledged write is there, whoever is asked.
    pub(crate) fn check_kept(&self) {
        let acknowledged = self.acknowledged.borrow().clone();
        assert!(!acknowledged.is_empty(), "somebody wrote");
        for (id, _) in self.cluster.running() {
            for (key, least) in &acknowledged {
                let value = self.ask(id, &["GET", key]);
                let value = value.and_then(|value| value.parse::<u64>().ok());
                assert!(
                    value >= Some(*least),
                    "{key} is {value:?} at {id}, not {least}"
                );
            }
        }
    }

    pub(crate) fn role(&self, id: ReplicaId) -> kv::Role {
        self.replica(id).status().role
    }

    /// Everything was done right so far.
    pub(crate) fn check(&self) -> Invariants {
        let mut invariants = Invariants::default();
        invariants.check(&self.cluster).unwrap();
        invariants.check_order().unwrap();
        invariants
    }

    /// How many entries were decided, and how many of them not on the fast path.
    pub(crate) fn paths(&self) -> (usize, usize) {
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
                resp::Reply::Error(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            });
        }
    }
}
