//! What goes wrong, at random.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use depfast::sim::{ClockSkew, CpuSpeed, DiskFault, DiskSpeed, Link};
use depfast::{Env, Rng};
use depfast_raft::ReplicaId;
use kv::Replica;

use crate::client::Client;
use crate::cluster::Cluster;

pub(crate) struct Faults {
    cluster: Cluster,
    env: Env,
    rng: Rng,
    /// Whether disks may forget what they were told to flush: no protocol survives that.
    disks_lie: bool,
    tally: Rc<RefCell<Tally>>,
}

/// How often what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    crashes: u64,
    partitions: u64,
    bad_links: u64,
    bad_disks: u64,
    slow_cpus: u64,
    transfers: u64,
    changes: u64,
    changed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.crashes += other.crashes;
        self.partitions += other.partitions;
        self.bad_links += other.bad_links;
        self.bad_disks += other.bad_disks;
        self.slow_cpus += other.slow_cpus;
        self.transfers += other.transfers;
        self.changes += other.changes;
        self.changed += other.changed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "crashes {} partitions {} bad links {} bad disks {} slow CPUs {} transfers {} changes of members {} of {}",
            self.crashes,
            self.partitions,
            self.bad_links,
            self.bad_disks,
            self.slow_cpus,
            self.transfers,
            self.changed,
            self.changes
        )
    }
}

impl Faults {
    pub(crate) fn new(cluster: &Cluster, disks_lie: bool) -> Self {
        Self {
            cluster: cluster.clone(),
            env: cluster.sim.env(),
            rng: cluster.sim.rng(),
            disks_lie,
            tally: Rc::default(),
        }
    }

    pub(crate) fn tally(&self) -> Rc<RefCell<Tally>> {
        Rc::clone(&self.tally)
    }

    /// Something new goes wrong, or right, every few hundred milliseconds. Clocks are wrong all the time, but their rates
    /// differ by less than the tenth that a lease rests on.
    pub(crate) async fn run(mut self) {
        for id in self.cluster.ids.clone() {
            let ahead = self
                .rng
                .duration(&(Duration::ZERO..Duration::from_secs(10)));
            let rate = 0.955 + self.rng.below(0..90) as f64 / 1000.0;
            self.cluster.sim.set_clock(id, ClockSkew { ahead, rate });
        }
        if self.disks_lie {
            for id in &self.cluster.ids {
                self.cluster
                    .sim
                    .set_disk_fault(*id, DiskFault::IgnoresFlush);
            }
        }
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
        match self
            .rng
            .below(0..if self.cluster.changes() { 19 } else { 15 })
        {
            0 | 1 => self.crash(victim),
            2 if self.rng.chance(0.3) => {
                for id in self.cluster.ids.clone() {
                    self.crash(id);
                }
            }
            2 | 3 => {
                let island: Vec<_> = self
                    .cluster
                    .ids
                    .iter()
                    .copied()
                    .filter(|_| self.rng.chance(0.4))
                    .collect();
                self.part(&island);
            }
            // Clients still reach a leader that its peers do not.
            10 | 11 => self.part(&Vec::from_iter(self.cluster.leader())),
            4 => sim.restore(),
            5 => {
                self.tally.borrow_mut().bad_links += 1;
                sim.set_default_link(self.link());
            }
            6 => {
                self.tally.borrow_mut().bad_links += 1;
                let other = self.victim();
                let link = self.link();
                sim.set_queue(victim, other, link.delay.clone());
                sim.set_link(victim, other, link);
            }
            7 => sim.reset_links(),
            8 => {
                self.tally.borrow_mut().bad_disks += 1;
                let slow = Duration::from_millis(self.rng.below(1..80));
                sim.set_disk_speed(
                    victim,
                    DiskSpeed {
                        access: slow / 10..slow,
                        flush: slow..slow * 2,
                    },
                );
            }
            12 => self.transfer(victim),
            13 => {
                // One hears the other, but not the other way round.
                self.tally.borrow_mut().partitions += 1;
                let other = self.victim();
                sim.cut(victim, other);
            }
            14 => {
                self.tally.borrow_mut().slow_cpus += 1;
                let speed = CpuSpeed {
                    step: Duration::from_nanos(500)..Duration::from_micros(20),
                    share: 0.05,
                };
                sim.set_cpu(victim, self.rng.chance(0.5).then_some(speed));
            }
            15..=18 => self.change(victim),
            _ if !self.disks_lie => {
                // The replica stops at its next write; whoever restarts it has a new disk controller.
                self.tally.borrow_mut().bad_disks += 1;
                let faults = [
                    DiskFault::Error,
                    DiskFault::Full,
                    DiskFault::FlushFails,
                    DiskFault::Unreadable,
                ];
                let choice = self.rng.below(0..faults.len() as u64);
                sim.set_disk_fault(victim, faults[usize::try_from(choice).unwrap()]);
                self.restart_later(victim);
            }
            _ => {}
        }
    }

    fn part(&self, island: &[ReplicaId]) {
        self.tally.borrow_mut().partitions += 1;
        self.cluster.sim.partition(island);
    }

    fn transfer(&self, to: ReplicaId) {
        let Some(leader) = self.cluster.leader() else {
            return;
        };
        self.tally.borrow_mut().transfers += 1;
        let raft = self.cluster.replica(leader);
        self.env.spawn(async move {
            raft.hand_over(Some(to)).await;
        });
    }

    /// Lets `id` go, or takes it in, but never leaves fewer than three members.
    fn change(&mut self, id: ReplicaId) {
        let Some(leader) = self.cluster.leader() else {
            return;
        };
        let members = self.cluster.replica(leader).members().len();
        if members <= 3 && self.cluster.is_member(leader, id) {
            return;
        }
        self.tally.borrow_mut().changes += 1;
        let client = Client::of(&self.cluster, 0);
        let tally = Rc::clone(&self.tally);
        self.env.spawn(async move {
            if client.change_members(leader, id).await {
                tally.borrow_mut().changed += 1;
            }
        });
    }

    fn victim(&mut self) -> ReplicaId {
        let ids = &self.cluster.ids;
        ids[usize::try_from(self.rng.below(0..ids.len() as u64)).unwrap()]
    }

    fn crash(&mut self, id: ReplicaId) {
        self.tally.borrow_mut().crashes += 1;
        self.cluster.crash(id);
        self.restart_later(id);
    }

    fn restart_later(&mut self, id: ReplicaId) {
        let pause = self
            .rng
            .duration(&(Duration::from_millis(5)..Duration::from_millis(600)));
        let (env, cluster, lies) = (self.env.clone(), self.cluster.clone(), self.disks_lie);
        self.env.spawn(async move {
            env.timeout("restart", pause).await;
            if !lies {
                cluster.sim.set_disk_fault(id, DiskFault::None);
            }
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

/// Takes all faults away and starts whatever is down.
pub(crate) fn heal(cluster: &Cluster) {
    let sim = &cluster.sim;
    sim.restore();
    sim.reset_links();
    sim.set_default_link(Link::default());
    for id in &cluster.ids {
        sim.set_disk_fault(*id, DiskFault::None);
        sim.set_disk_speed(*id, DiskSpeed::default());
        sim.set_cpu(*id, None);
        if !sim.is_up(*id) {
            cluster.start_replica(*id);
        }
    }
}
