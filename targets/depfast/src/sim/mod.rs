//! The environment of a test: a whole system in one thread, in virtual time, from one seed.
//!
//! Nothing here depends on the machine: the same seed and the same program give the same run, step by step.
//!
//! | what | can |
//! |---|---|
//! | nodes | crash, restart, be slow ([`CpuSpeed`]), have a wrong clock ([`ClockSkew`]) |
//! | links | delay, lose, duplicate, reorder ([`Link`]); hold up their sender's queue; be cut in one direction or both, also to clients |
//! | files | be slow ([`DiskSpeed`]), fail, be full ([`DiskFault`]); lose, tear or keep what was not flushed; rot |

mod backend;
mod clock;
mod content;
mod cpu;
mod disk;
mod executor;
mod network;
mod stream;
mod world;

use std::future::Future;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

pub use clock::ClockSkew;
pub use cpu::CpuSpeed;
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
///
/// The system ends when the value that [`Sim::new`] returned is dropped; its clones then do nothing any more.
pub struct Sim {
    world: Rc<World>,
    /// Whether it is the first handle. Coroutines hold others, and the system holds the coroutines.
    first: bool,
}

impl Clone for Sim {
    fn clone(&self) -> Self {
        Self {
            world: Rc::clone(&self.world),
            first: false,
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if self.first {
            self.world.shut_down();
        }
    }
}

impl Sim {
    /// An empty system whose every random choice follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let world = World::new(seed);
        world.boot(TESTER);
        Self { world, first: true }
    }

    /// Starts, or restarts, a node with the disk it had. When `main` returns, the node is gone like a process is.
    pub fn start<F: Future<Output = ()> + 'static>(
        &self,
        node: NodeId,
        main: impl FnOnce(Env) -> F,
    ) {
        let epoch = self.world.boot(node);
        let env = backend::env(&self.world, node, epoch);
        let world = Rc::downgrade(&self.world);
        let main = main(env);
        self.world.spawn(node, async move {
            main.await;
            if let Some(world) = world.upgrade() {
                world.schedule(Duration::ZERO, move |world| world.crash_epoch(node, epoch));
            }
        });
    }

    /// Ends a node at once. What its files had not flushed is lost, torn or kept, as chance has it.
    pub fn crash(&self, node: NodeId) {
        self.world.crash(node);
    }

    /// Whether the node runs.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.world.is_up(node)
    }

    /// An environment for the test's own coroutines.
    pub fn env(&self) -> Env {
        backend::env(&self.world, TESTER, self.world.epoch(TESTER))
    }

    /// Connects a client of the test to the address at which some node listens.
    ///
    /// # Errors
    ///
    /// Nobody listens there now.
    pub fn connect(&self, address: &str) -> io::Result<Stream> {
        stream::connect(&self.world, None, address)
    }

    /// Connects a client that the network knows as `client`: links and partitions between it and the server's node delay
    /// what the two send each other, and hold it back as long as they are cut off. Nothing is lost or overtaken.
    ///
    /// # Errors
    ///
    /// Nobody listens there now, or nobody is reached.
    pub fn connect_from(&self, client: NodeId, address: &str) -> io::Result<Stream> {
        stream::connect(&self.world, Some(client), address)
    }

    /// Sets how all links behave that have no setting of their own.
    pub fn set_default_link(&self, link: Link) {
        self.world.network.borrow_mut().default = link;
    }

    /// Sets how messages travel in one direction.
    pub fn set_link(&self, from: NodeId, to: NodeId, link: Link) {
        self.world
            .network
            .borrow_mut()
            .links
            .insert((from, to), link);
    }

    /// Has what one node sends another wait in its own queue for as long, as if the other were slow to take it. A call that
    /// waits there may be taken back, and no more waits than the [`Endpoint`](crate::Endpoint) of its sender allows.
    pub fn set_queue(&self, from: NodeId, to: NodeId, wait: Range<Duration>) {
        let mut network = self.world.network.borrow_mut();
        network.queues.insert((from, to), wait);
    }

    /// Gives every link the default behaviour again, and lets nothing wait in queues from now on.
    pub fn reset_links(&self) {
        let mut network = self.world.network.borrow_mut();
        network.links.clear();
        network.queues.clear();
    }

    /// Loses every message between `island` and the rest, in both directions, instead of an earlier island's.
    pub fn partition(&self, island: &[NodeId]) {
        self.world.network.borrow_mut().island = island.to_vec();
    }

    /// Loses every message from one node to another, but not back, until [`restore`](Self::restore).
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.world.network.borrow_mut().cuts.insert((from, to));
    }

    /// Takes all partitions and cuts away.
    pub fn restore(&self) {
        let mut network = self.world.network.borrow_mut();
        network.island.clear();
        network.cuts.clear();
    }

    /// Sets how fast a node's CPU is; with `None`, what it does takes no time.
    pub fn set_cpu(&self, node: NodeId, speed: Option<CpuSpeed>) {
        self.world.set_cpu(node, speed);
    }

    /// Sets how a node's clock goes from now on. Deadlines that are pending may be met late.
    pub fn set_clock(&self, node: NodeId, skew: ClockSkew) {
        self.world.set_clock(node, skew);
    }

    /// Sets how fast a node's disk is.
    pub fn set_disk_speed(&self, node: NodeId, speed: DiskSpeed) {
        self.world.disk(node).speed.replace(speed);
    }

    /// Makes a node's disk fail, or well again.
    pub fn set_disk_fault(&self, node: NodeId, fault: DiskFault) {
        self.world.disk(node).fault.set(fault);
    }

    /// Flips a bit, any one, of what is durable in those files of a node whose names end in `suffix`; says whether there was
    /// one to flip.
    pub fn flip_bit(&self, node: NodeId, suffix: &str) -> bool {
        let disk = self.world.disk(node);
        disk.flip_bit(suffix, &mut self.world.rng.borrow_mut())
    }

    /// Has a node's worker thread have spent time, as its CPU detector will see it. Nothing takes longer by that.
    pub fn spend_cpu(&self, node: NodeId, times: CpuTimes) {
        self.world.spend_cpu(node, times);
    }

    /// Runs the system for a stretch of virtual time.
    pub fn run_for(&self, time: Duration) {
        let end = self.now() + time;
        self.world.run_until(end, || false);
    }

    /// Runs the system until `reached` holds, at most for `limit`; says whether it does.
    pub fn run_until(&self, limit: Duration, mut reached: impl FnMut() -> bool) -> bool {
        let end = self.now() + limit;
        self.world.run_until(end, &mut reached);
        reached()
    }

    /// The present of the virtual clock.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// How many steps the system has taken; equal runs take equal numbers.
    pub fn steps(&self) -> u64 {
        self.world.steps.get()
    }

    /// A generator for the test's own choices, derived from the seed.
    pub fn rng(&self) -> Rng {
        Rng::new(self.world.rng.borrow_mut().next_u64())
    }
}
