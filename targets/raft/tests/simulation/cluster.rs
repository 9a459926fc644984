//! A simulated group of replicas.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use depfast::sim::Sim;
use depfast_raft::{Config, Durability, Member, Raft, ReplicaId, Timing};
use kv::{Front, Limits, Replica, Role, Status};

/// Replicas by name, and those that run.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) sim: Sim,
    pub(crate) ids: Vec<ReplicaId>,
    log_memory: usize,
    running: Rc<RefCell<BTreeMap<ReplicaId, Rc<Raft>>>>,
}

impl Cluster {
    pub(crate) fn start(sim: &Sim, size: u32, log_memory: usize) -> Self {
        let ids = (1..=size).map(ReplicaId).collect();
        let cluster = Self {
            sim: sim.clone(),
            ids,
            log_memory,
            running: Rc::default(),
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
        let config = self.config(id);
        self.sim.start(id, move |env| async move {
            let Ok(raft) = Raft::start(&env, &config).await else {
                return;
            };
            running.borrow_mut().insert(id, Rc::clone(&raft));
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

    pub(crate) fn crash(&self, id: ReplicaId) {
        self.running.borrow_mut().remove(&id);
        self.sim.crash(id);
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

    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.running()
            .iter()
            .map(|(_, raft)| raft.status())
            .collect()
    }

    /// All run, one leads, all others follow it and have applied what it has committed.
    pub(crate) fn is_healed(&self) -> bool {
        let statuses = self.statuses();
        let Some(leader) = statuses.iter().find(|status| status.role == Role::Leader) else {
            return false;
        };
        statuses.len() == self.ids.len()
            && statuses
                .iter()
                .all(|status| status.leader == Some(leader.id) && status.applied == leader.last)
    }

    fn config(&self, id: ReplicaId) -> Config {
        let member = |id: &ReplicaId| Member {
            peer: format!("{id}:7000"),
            client: Self::client_address(*id),
        };
        Config {
            id,
            members: self.ids.iter().map(|id| (*id, member(id))).collect(),
            peer_listen: None,
            client_listen: None,
            data_dir: PathBuf::new(),
            durability: Durability::Fsync,
            timing: Timing::new(Duration::from_millis(150), Duration::from_millis(20)),
            log_memory: self.log_memory,
        }
    }
}
