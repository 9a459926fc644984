//! One node's view of the simulated world.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::clock::Clock;
use super::disk::NodeDisk;
use super::network::{NodeTransport, Queue};
use super::stream;
use super::world::World;
use crate::detect::CpuTimes;
use crate::disk::DiskBackend;
use crate::env::{Backend, Env, Inbox, LocalFuture, Transport};
use crate::id::NodeId;
use crate::rpc::Endpoint;
use crate::stream::Listener;
use crate::time::Instant;
use crate::timers::Timers;

pub(super) fn env(world: &Rc<World>, node: NodeId, epoch: u64) -> Env {
    let seed = world.rng.borrow_mut().next_u64();
    Env::new(
        Rc::new(SimBackend {
            world: Rc::clone(world),
            clock: world.clock(node),
            node,
            epoch,
        }),
        seed,
    )
}

struct SimBackend {
    world: Rc<World>,
    clock: Rc<Cell<Clock>>,
    node: NodeId,
    epoch: u64,
}

impl Backend for SimBackend {
    fn now(&self) -> Instant {
        self.clock.get().local(self.world.now())
    }

    fn due(&self, at: Instant) -> Instant {
        self.clock.get().truth(at)
    }

    fn timers(&self) -> &Timers {
        &self.world.timers
    }

    fn arm(&self, _at: Instant) {}

    fn spawn(&self, coroutine: LocalFuture<()>) {
        if self.world.is_alive(self.node, self.epoch) {
            self.world.spawn(self.node, coroutine);
        }
    }

    fn disk(&self) -> Rc<dyn DiskBackend> {
        Rc::new(NodeDisk {
            world: Rc::downgrade(&self.world),
            node: self.node,
            epoch: self.epoch,
        })
    }

    fn listen(&self, address: String) -> LocalFuture<io::Result<Listener>> {
        Box::pin(std::future::ready(stream::listen(
            &self.world,
            self.node,
            address,
        )))
    }

    fn join(
        &self,
        endpoint: Endpoint,
        inbox: Rc<dyn Inbox>,
    ) -> LocalFuture<io::Result<Rc<dyn Transport>>> {
        self.world.set_inbox(endpoint.me, inbox);
        let transport: Rc<dyn Transport> = Rc::new(NodeTransport {
            world: Rc::downgrade(&self.world),
            node: endpoint.me,
            epoch: self.epoch,
            queue: Rc::new(RefCell::new(Queue::new(endpoint.queue_bytes))),
        });
        Box::pin(std::future::ready(Ok(transport)))
    }

    fn cpu_times(&self) -> CpuTimes {
        self.world.cpu_times(self.node)
    }

    fn resident_memory(&self) -> u64 {
        0
    }

    fn terminated(&self) -> LocalFuture<()> {
        Box::pin(std::future::pending())
    }
}
