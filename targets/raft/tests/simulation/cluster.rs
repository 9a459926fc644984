//! A simulated group of replicas.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::time::Duration;

use depfast::sim::Sim;
use depfast_raft::config::{LOG_MEMORY, MESSAGE_BYTES, SNAPSHOT_BYTES};
use depfast_raft::{Config, Member, Mutation, Raft, Reads, ReplicaId, Timing};
use kv::{Command, Front, Limits, Op, Replica, Role, Status, Store};

/// How the replicas of a group are set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) size: u32,
    pub(crate) log_memory: usize,
    pub(crate) message_bytes: usize,
    pub(crate) snapshot_bytes: u64,
    pub(crate) reads: Reads,
    pub(crate) mutation: Option<Mutation>,
    /// Replicas that wait to be taken in.
    pub(crate) spares: u32,
    pub(crate) mitigation: bool,
}

impl Setup {
    pub(crate) fn of(size: u32) -> Self {
        Self {
            size,
            log_memory: LOG_MEMORY,
            message_bytes: MESSAGE_BYTES,
            snapshot_bytes: SNAPSHOT_BYTES,
            reads: Reads::Quorum,
            mutation: None,
            spares: 0,
            mitigation: false,
        }
    }

    /// The groups of random lives: of every size, with every kind of read; some forget what lies in their files and have
    /// to read it again for whoever lags, some take a snapshot all the time, some send entries one batch at a time, in
    /// some members come and go.
    pub(crate) fn varied(seed: u64) -> Self {
        let pick = |of: &[usize], nth: u64| of[usize::try_from(nth).unwrap() % of.len()];
        Self {
            size: u32::try_from(pick(&[3, 5, 3, 7, 3, 5], seed)).unwrap(),
            log_memory: pick(&[8 << 10, 1 << 20], seed),
            message_bytes: pick(&[MESSAGE_BYTES, MESSAGE_BYTES, 1], seed),
            snapshot_bytes: pick(&[4 << 10, 64 << 10, 1 << 20], seed / 2) as u64,
            reads: if seed % 4 < 2 {
                Reads::Lease
            } else {
                Reads::Quorum
            },
            mutation: None,
            spares: u32::from(seed.is_multiple_of(5)),
            mitigation: seed.is_multiple_of(7),
        }
    }
}

/// Replicas by name, and those that run.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) sim: Sim,
    pub(crate) ids: Vec<ReplicaId>,
    setup: Setup,
    running: Rc<RefCell<BTreeMap<ReplicaId, Rc<Raft>>>>,
    /// Every replica that ever ran.
    started: Started,
}

pub(crate) type Started = Rc<RefCell<Vec<(ReplicaId, Weak<Raft>)>>>;

impl Cluster {
    pub(crate) fn start(sim: &Sim, setup: Setup) -> Self {
        let cluster = Self {
            sim: sim.clone(),
            ids: (1..=setup.size + setup.spares).map(ReplicaId).collect(),
            setup,
            running: Rc::default(),
            started: Rc::default(),
        };
        for id in &cluster.ids {
            cluster.start_replica(*id);
        }
        cluster
    }

    /// Starts, or restarts, a replica. It ends itself when its log fails.
    pub(crate) fn start_replica(&self, id: ReplicaId) {
        let running = Rc::clone(&self.running);
        let started = Rc::clone(&self.started);
        running.borrow_mut().remove(&id);
        let config = self.config(id);
        self.sim.start(id, move |env| async move {
            let Ok(raft) = Raft::start(&env, &config).await else {
                return;
            };
            running.borrow_mut().insert(id, Rc::clone(&raft));
            started.borrow_mut().push((id, Rc::downgrade(&raft)));
            let front = Front {
                env: env.clone(),
                replica: Rc::<Raft>::clone(&raft),
                addresses: config
                    .members
                    .iter()
                    .map(|(id, member)| (*id, member.client.clone()))
                    .collect(),
                limits: Limits::default(),
            };
            front.serve(&config.members[&id].client).await.unwrap();
            let _log_error = raft.failed().await;
            running.borrow_mut().remove(&id);
        });
    }

    /// Who ever ran, to see whether they are gone when the cluster is.
    pub(crate) fn started(&self) -> Started {
        Rc::clone(&self.started)
    }

    pub(crate) fn crash(&self, id: ReplicaId) {
        self.running.borrow_mut().remove(&id);
        self.sim.crash(id);
    }

    pub(crate) fn peer_address(id: ReplicaId) -> String {
        format!("{id}:7000")
    }

    /// Whether members come and go.
    pub(crate) fn changes(&self) -> bool {
        self.setup.spares > 0
    }

    /// Whether `id` belongs to the group as `replica` knows it.
    pub(crate) fn is_member(&self, replica: ReplicaId, id: ReplicaId) -> bool {
        let running = self.running.borrow();
        running
            .get(&replica)
            .is_some_and(|raft| raft.members().iter().any(|member| member.id == id))
    }

    pub(crate) fn client_address(id: ReplicaId) -> String {
        format!("{id}:6379")
    }

    pub(crate) fn running(&self) -> Vec<(ReplicaId, Rc<Raft>)> {
        self.running
            .borrow()
            .iter()
            .map(|(id, raft)| (*id, Rc::clone(raft)))
            .collect()
    }

    pub(crate) fn replica(&self, id: ReplicaId) -> Rc<Raft> {
        Rc::clone(&self.running.borrow()[&id])
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.running()
            .iter()
            .map(|(_, raft)| raft.status())
            .collect()
    }

    /// Who leads the latest term that has a leader.
    pub(crate) fn leader(&self) -> Option<ReplicaId> {
        let leaders = self.statuses().into_iter();
        leaders
            .filter(|status| status.role == Role::Leader)
            .max_by_key(|status| status.term)
            .map(|status| status.id)
    }

    /// All members run, one leads, all others follow it and have applied what it has committed.
    pub(crate) fn is_healed(&self) -> bool {
        let statuses = self.statuses();
        let Some(leader) = statuses.iter().find(|status| status.role == Role::Leader) else {
            return false;
        };
        let members = self.replica(leader.id).members();
        members.iter().all(|member| {
            let status = statuses.iter().find(|status| status.id == member.id);
            status.is_some_and(|status| {
                status.leader == Some(leader.id) && status.applied == leader.last
            })
        })
    }

    fn config(&self, id: ReplicaId) -> Config {
        let member = |id: &ReplicaId| Member {
            peer: Self::peer_address(*id),
            client: Self::client_address(*id),
        };
        let joins = id.0 > self.setup.size;
        let initial = self.ids.iter().filter(|id| id.0 <= self.setup.size);
        let mut members: BTreeMap<_, _> = initial.map(|id| (*id, member(id))).collect();
        members.insert(id, member(&id));
        Config {
            joins,
            mitigation: self.setup.mitigation,
            timing: Timing::new(Duration::from_millis(150), Duration::from_millis(20)),
            log_memory: self.setup.log_memory,
            message_bytes: self.setup.message_bytes,
            snapshot_bytes: self.setup.snapshot_bytes,
            // Small, so that there are many.
            segment_bytes: 16 << 10,
            reads: self.setup.reads,
            mutation: self.setup.mutation,
            ..Config::new(id, members, PathBuf::new())
        }
    }
}

/// What a store is, in a number.
pub(crate) fn digest(store: &Store) -> u32 {
    let mut digest = crc32fast::Hasher::new();
    for chunk in store.snapshot() {
        digest.update(&chunk);
    }
    digest.finalize()
}

/// The value that an entry writes.
pub(crate) fn value_of(entry: &[u8]) -> Option<u64> {
    match Command::decode(entry)?.op {
        Op::Set { value, .. } => std::str::from_utf8(value).ok()?.parse().ok(),
        _ => None,
    }
}
