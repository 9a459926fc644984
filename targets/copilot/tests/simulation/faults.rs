//! What goes wrong, at random.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use depfast::sim::{DiskFault, DiskSpeed, Link};
use depfast::{Env, Rng};
use depfast_copilot::{Durability, ReplicaId};
use kv::Replica;

use crate::cluster::Cluster;

/// How often what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) crashes: u64,
    pub(crate) partitions: u64,
    pub(crate) slow_replicas: u64,
}

pub(crate) struct Faults {
    pub(crate) happened: Rc<Cell<Happened>>,
    pub(crate) cluster: Cluster,
    pub(crate) env: Env,
    pub(crate) rng: Rng,
}

impl Faults {
    /// Something new goes wrong, or right, every few hundred milliseconds.
    pub(crate) async fn run(mut self) {
        loop {
            let pause = self
                .rng
                .duration(&(Duration::from_millis(20)..Duration::from_millis(400)));
            self.env.timeout("calm", pause).await;
            self.happen();
        }
    }

    fn happen(&mut self) {
        let sim = self.cluster.sim.clone();
        let victim = self.victim();
        match self.rng.below(0..12) {
            0 => self.crash(victim),
            1 => {
                let pilot = self.pilot().unwrap_or(victim);
                self.crash(pilot);
            }
            2 if self.rng.chance(0.3) && self.restarts() => {
                for id in self.cluster.ids.clone() {
                    self.crash(id);
                }
            }
            2 | 3 => {
                let ids = &self.cluster.ids;
                let island: Vec<_> = ids
                    .iter()
                    .copied()
                    .filter(|_| self.rng.chance(0.4))
                    .collect();
                sim.partition(&island);
                self.note(|happened| happened.partitions += 1);
            }
            4 | 5 => sim.partition(&[]),
            6 => sim.set_default_link(self.link()),
            7 => {
                let other = self.victim();
                sim.set_link(victim, other, self.link());
            }
            8 => {
                // One slow replica, to and from everybody: what the protocol is for.
                let link = self.link();
                self.note(|happened| happened.slow_replicas += 1);
                for other in self.cluster.ids.clone() {
                    sim.set_link(victim, other, link.clone());
                    sim.set_link(other, victim, link.clone());
                }
            }
            9 => sim.reset_links(),
            10 => {
                let slow = Duration::from_millis(self.rng.below(1..80));
                let speed = DiskSpeed {
                    access: slow / 10..slow,
                    flush: slow..slow * 2,
                };
                sim.set_disk_speed(victim, speed);
            }
            _ if self.restarts() => {
                // The replica stops at its next write; whoever restarts it has a new disk controller.
                sim.set_disk_fault(victim, DiskFault::Error);
                self.restart_later(victim);
            }
            _ => {}
        }
    }

    fn note(&self, change: impl FnOnce(&mut Happened)) {
        let mut happened = self.happened.get();
        change(&mut happened);
        self.happened.set(happened);
    }

    fn restarts(&self) -> bool {
        self.cluster.nature.durability == Durability::Fsync
    }

    fn victim(&mut self) -> ReplicaId {
        let ids = &self.cluster.ids;
        ids[usize::try_from(self.rng.below(0..ids.len() as u64)).unwrap()]
    }

    /// One of those that have a role.
    fn pilot(&mut self) -> Option<ReplicaId> {
        let running = self.cluster.running().into_iter();
        let pilots = running.filter(|(_, copilot)| copilot.status().role != kv::Role::Follower);
        let pilots: Vec<_> = pilots.map(|(id, _)| id).collect();
        let choice = self.rng.below(0..pilots.len().max(1) as u64);
        pilots.get(usize::try_from(choice).unwrap()).copied()
    }

    fn crash(&mut self, id: ReplicaId) {
        if self.restarts() {
            self.note(|happened| happened.crashes += 1);
            self.cluster.crash(id);
            self.restart_later(id);
            return;
        }
        // What lives in memory only does not come back, so a majority has to stay.
        let down = self.cluster.ids.len() - self.cluster.running().len();
        if down < self.cluster.faults() {
            self.note(|happened| happened.crashes += 1);
            self.cluster.crash(id);
        }
    }

    fn restart_later(&mut self, id: ReplicaId) {
        let pause = self
            .rng
            .duration(&(Duration::from_millis(5)..Duration::from_millis(600)));
        let (env, cluster) = (self.env.clone(), self.cluster.clone());
        self.env.spawn(async move {
            env.timeout("restart", pause).await;
            cluster.sim.set_disk_fault(id, DiskFault::None);
            if !cluster.sim.is_up(id) {
                cluster.start_replica(id);
            }
        });
    }

    fn link(&mut self) -> Link {
        let slowest = Duration::from_micros(self.rng.below(200..40_000));
        Link {
            delay: slowest / 20..slowest,
            loss: self.rng.below(0..20) as f64 / 100.0,
            duplication: self.rng.below(0..20) as f64 / 100.0,
        }
    }
}

/// Takes all faults away and starts whatever is down and may come back.
pub(crate) fn heal(cluster: &Cluster) {
    let sim = &cluster.sim;
    sim.partition(&[]);
    sim.reset_links();
    sim.set_default_link(Link::default());
    for id in &cluster.ids {
        sim.set_disk_fault(*id, DiskFault::None);
        sim.set_disk_speed(*id, DiskSpeed::default());
        if !sim.is_up(*id) && cluster.nature.durability == Durability::Fsync {
            cluster.start_replica(*id);
        }
    }
}
