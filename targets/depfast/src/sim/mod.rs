//! The environment of a test: a whole system in one thread, in virtual time, from one seed.
//!
//! Nothing here depends on the machine: the same seed and the same program give the same run, step by step. Nodes crash
//! and restart, files lose or tear what was not flushed, links delay, lose, duplicate and reorder messages.

mod backend;
mod disk;
mod executor;
mod network;
mod stream;
mod world;

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

pub use disk::{DiskFault, DiskSpeed};
pub use network::Link;

use crate::detect::CpuTimes;
use crate::env::Env;
use crate::id::NodeId;
use crate::rng::Rng;
use crate::stream::Stream;
use crate::time::Instant;
use world::World;

/// The node that the test's own coroutines run on. It never crashes.
const TESTER: NodeId = NodeId(u32::MAX);

/// A simulated system. Clones are handles to the same one, so that a coroutine of the test can inject faults.
#[derive(Clone)]
pub struct Sim(Rc<World>);

impl Sim {
    /// An empty system whose every random choice follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let world = World::new(seed);
        world.boot(TESTER);
        Self(world)
    }

    /// Starts, or restarts, a node with the disk it had. When `main` returns, the node is gone like a process is.
    pub fn start<F: Future<Output = ()> + 'static>(
        &self,
        node: NodeId,
        main: impl FnOnce(Env) -> F,
    ) {
        let epoch = self.0.boot(node);
        let env = backend::env(&self.0, node, epoch);
        let world = Rc::downgrade(&self.0);
        let main = main(env);
        self.0.spawn(node, async move {
            main.await;
            if let Some(world) = world.upgrade() {
                world.schedule(Duration::ZERO, move |world| world.crash_epoch(node, epoch));
            }
        });
    }

    /// Ends a node at once. What its files had not flushed is lost, torn or kept, as chance has it.
    pub fn crash(&self, node: NodeId) {
        self.0.crash(node);
    }

    /// Whether the node runs.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.0.is_up(node)
    }

    /// An environment for the test's own coroutines.
    pub fn env(&self) -> Env {
        backend::env(&self.0, TESTER, self.0.epoch(TESTER))
    }

    /// Connects a client of the test to the address at which some node listens.
    ///
    /// # Errors
    ///
    /// Nobody listens there now.
    pub fn connect(&self, address: &str) -> io::Result<Stream> {
        stream::connect(&self.0, address)
    }

    /// Sets how all links behave that have no setting of their own.
    pub fn set_default_link(&self, link: Link) {
        self.0.network.borrow_mut().default = link;
    }

    /// Sets how messages travel in one direction.
    pub fn set_link(&self, from: NodeId, to: NodeId, link: Link) {
        self.0.network.borrow_mut().links.insert((from, to), link);
    }

    /// Gives every link the default behaviour again.
    pub fn reset_links(&self) {
        self.0.network.borrow_mut().links.clear();
    }

    /// Loses every message between `island` and the rest, in both directions.
    pub fn partition(&self, island: &[NodeId]) {
        self.0.network.borrow_mut().island = island.to_vec();
    }

    /// Sets how fast a node's disk is.
    pub fn set_disk_speed(&self, node: NodeId, speed: DiskSpeed) {
        self.0.disk(node).speed.replace(speed);
    }

    /// Makes a node's disk fail, or well again.
    pub fn set_disk_fault(&self, node: NodeId, fault: DiskFault) {
        self.0.disk(node).fault.set(fault);
    }

    /// Has a node's worker thread have spent time, as its CPU detector will see it. Nothing takes longer by that.
    pub fn spend_cpu(&self, node: NodeId, times: CpuTimes) {
        self.0.spend_cpu(node, times);
    }

    /// Runs the system for a stretch of virtual time.
    pub fn run_for(&self, time: Duration) {
        let end = self.now() + time;
        self.0.run_until(end, || false);
    }

    /// Runs the system until `reached` holds, at most for `limit`; says whether it does.
    pub fn run_until(&self, limit: Duration, mut reached: impl FnMut() -> bool) -> bool {
        let end = self.now() + limit;
        self.0.run_until(end, &mut reached);
        reached()
    }

    /// The present of the virtual clock.
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// How many steps the system has taken; equal runs take equal numbers.
    pub fn steps(&self) -> u64 {
        self.0.steps.get()
    }

    /// A generator for the test's own choices, derived from the seed.
    pub fn rng(&self) -> Rng {
        Rng::new(self.0.rng.borrow_mut().next_u64())
    }
}
