//! A simulated group of replicas.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use depfast::sim::Sim;
use depfast_copilot::core::Role;
use depfast_copilot::{Config, Copilot, Durability, Member, Mutation, ReplicaId, Timing};
use kv::{Front, Limits, Replica, Status};

/// How much replicas remember of their past.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    /// As much as they do by default.
    Long,
    /// So little that whoever lags needs a snapshot, and that the log file is replaced again and again.
    Short,
}

/// What a group is like.
#[derive(Clone)]
pub(crate) struct Nature {
    pub(crate) size: u32,
    pub(crate) durability: Durability,
    pub(crate) memory: Memory,
    pub(crate) timing: Timing,
    /// The mistake that all make.
    pub(crate) mutation: Option<Mutation>,
}

impl Nature {
    pub(crate) fn new(size: u32, durability: Durability, memory: Memory) -> Self {
        Self {
            size,
            durability,
            memory,
            timing: Timing::default(),
            mutation: None,
        }
    }
}

/// Replicas by name, and those that run.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) sim: Sim,
    pub(crate) ids: Vec<ReplicaId>,
    pub(crate) nature: Nature,
    running: Rc<RefCell<BTreeMap<ReplicaId, Rc<Copilot>>>>,
    starts: Rc<RefCell<BTreeMap<ReplicaId, u64>>>,
}

impl Cluster {
    pub(crate) fn start(sim: &Sim, nature: Nature) -> Self {
        let ids = (1..=nature.size).map(ReplicaId).collect();
        let cluster = Self {
            sim: sim.clone(),
            ids,
            nature,
            running: Rc::default(),
            starts: Rc::default(),
        };
        for id in &cluster.ids {
            cluster.start_replica(*id);
        }
        cluster
    }

    /// Starts, or restarts, a replica. It ends itself when its log fails.
    pub(crate) fn start_replica(&self, id: ReplicaId) {
        let running = Rc::clone(&self.running);
        running.borrow_mut().remove(&id);
        *self.starts.borrow_mut().entry(id).or_default() += 1;
        let config = self.config(id);
        self.sim.start(id, move |env| async move {
            let Ok(copilot) = Copilot::start(&env, &config).await else {
                return;
            };
            running.borrow_mut().insert(id, Rc::clone(&copilot));
            let front = Front {
                env: env.clone(),
                replica: Rc::<Copilot>::clone(&copilot),
                addresses: BTreeMap::new(),
                limits: Limits::default(),
            };
            front.serve(&config.members[&id].client).await.unwrap();
            let _log_error = copilot.failed().await;
            running.borrow_mut().remove(&id);
        });
    }

    /// How often a replica was started.
    pub(crate) fn starts(&self, id: ReplicaId) -> u64 {
        self.starts.borrow()[&id]
    }

    pub(crate) fn crash(&self, id: ReplicaId) {
        self.running.borrow_mut().remove(&id);
        self.sim.crash(id);
    }

    pub(crate) fn client_address(id: ReplicaId) -> String {
        format!("{id}:6379")
    }

    /// Whether the replica with this address for clients runs and knows that a first pilot was replaced.
    pub(crate) fn knows_successor(&self, address: &str) -> bool {
        let running = self.running.borrow();
        let mut asked = running
            .iter()
            .filter(|(id, _)| Self::client_address(**id) == address);
        asked.any(|(_, copilot)| {
            let later = |role| copilot.inspect(|core, _| core.standing(role).current.number > 0);
            Role::BOTH.into_iter().any(later)
        })
    }

    pub(crate) fn running(&self) -> Vec<(ReplicaId, Rc<Copilot>)> {
        self.running
            .borrow()
            .iter()
            .map(|(id, copilot)| (*id, Rc::clone(copilot)))
            .collect()
    }

    /// Where everyone stands, for a message.
    pub(crate) fn describe(&self) -> String {
        let describe = |(id, copilot): &(ReplicaId, Rc<Copilot>)| {
            copilot.inspect(|core, machine| {
                let logs = Role::BOTH.map(|role| {
                    let (log, standing) = (core.log(role), core.standing(role));
                    let next = log.executed().next();
                    format!(
                        "{role} in {} (promised {:?}): {} < {} executed, {} committed, {} known, {} last, {:?} blocked; next: {:?}",
                        standing.current,
                        standing.promised,
                        log.base(),
                        log.executed(),
                        log.committed(),
                        log.known(),
                        log.last(),
                        core.blocked_on(role),
                        log.get(next)
                    )
                });
                let applied = machine.applied;
                format!("{id}, {:?}, {applied} applied\n    {}\n    {}\n", copilot.status().role, logs[0], logs[1])
            })
        };
        self.running().iter().map(describe).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<Status> {
        let running = self.running();
        running
            .iter()
            .map(|(_, copilot)| copilot.status())
            .collect()
    }

    pub(crate) fn has_both_pilots(&self) -> bool {
        let statuses = self.statuses();
        let serves = |status: &&Status| matches!(status.role, kv::Role::Pilot | kv::Role::Copilot);
        statuses.iter().filter(serves).count() == 2
    }

    /// How many may be down at the same time.
    pub(crate) fn faults(&self) -> usize {
        (self.ids.len() - 1) / 2
    }

    /// Everyone that is up has executed the same, everything that is known is executed, and both roles are served.
    pub(crate) fn is_healed(&self) -> bool {
        let running = self.running();
        let states: Vec<_> = running
            .iter()
            .map(|(_, copilot)| {
                copilot.inspect(|core, machine| {
                    let known = Role::BOTH.map(|role| core.log(role).known());
                    let executed = Role::BOTH.map(|role| core.log(role).executed());
                    (executed, known, machine.digest)
                })
            })
            .collect();
        let agrees = |state: &([_; 2], [_; 2], u64)| *state == states[0] && state.0 == state.1;
        self.has_both_pilots() && states.iter().all(agrees)
    }

    fn config(&self, id: ReplicaId) -> Config {
        let member = |id: &ReplicaId| Member {
            peer: format!("{id}:7000"),
            client: Self::client_address(*id),
        };
        let members = self.ids.iter().map(|id| (*id, member(id))).collect();
        let config = Config {
            durability: self.nature.durability,
            timing: self.nature.timing.clone(),
            mutation: self.nature.mutation,
            ..Config::new(id, members, PathBuf::new())
        };
        match self.nature.memory {
            // Files grow by little at a time then.
            Memory::Long => Config {
                log_bytes: 4 << 20,
                ..config
            },
            Memory::Short => Config {
                log_entries: 20,
                log_bytes: 4 << 10,
                ..config
            },
        }
    }
}
