//! The state of a simulated system and its march through virtual time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::clock::{Clock, ClockSkew};
use super::cpu::{Cpu, CpuSpeed};
use super::disk::SimDisk;
use super::executor::{Executor, TaskId};
use super::network::Network;
use super::stream::{Backlog, Pipe};
use crate::detect::CpuTimes;
use crate::env::Inbox;
use crate::id::NodeId;
use crate::rng::Rng;
use crate::time::Instant;
use crate::timers::Timers;

type Action = Box<dyn FnOnce(&Rc<World>)>;

pub(super) struct World {
    pub(super) rng: RefCell<Rng>,
    pub(super) timers: Timers,
    pub(super) network: RefCell<Network>,
    pub(super) listeners: RefCell<BTreeMap<String, Rc<Backlog>>>,
    pub(super) steps: Cell<u64>,
    clock: Cell<Instant>,
    executor: Executor,
    actions: RefCell<BTreeMap<(Instant, u64), Action>>,
    scheduled: Cell<u64>,
    nodes: RefCell<BTreeMap<NodeId, Node>>,
    /// Whether any node's CPU takes time: most runs need not ask each node.
    slow_cpus: Cell<bool>,
    this: Weak<World>,
}

#[derive(Default)]
struct Node {
    up: bool,
    /// Counts the starts, so that what an earlier life began cannot reach a later one.
    epoch: u64,
    inbox: Option<Rc<dyn Inbox>>,
    pipes: Vec<Weak<Pipe>>,
    disk: Rc<SimDisk>,
    cpu: Cpu,
    clock: Rc<Cell<Clock>>,
}

impl World {
    pub(super) fn new(seed: u64) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            rng: RefCell::new(Rng::new(seed)),
            timers: Timers::default(),
            network: RefCell::default(),
            listeners: RefCell::default(),
            steps: Cell::new(0),
            clock: Cell::new(Instant::START),
            executor: Executor::default(),
            actions: RefCell::default(),
            scheduled: Cell::new(0),
            nodes: RefCell::default(),
            slow_cpus: Cell::new(false),
            this: this.clone(),
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.get()
    }

    pub(super) fn spawn(&self, node: NodeId, coroutine: impl Future<Output = ()> + 'static) {
        self.executor.spawn(node, Box::pin(coroutine));
    }

    /// Has `action` happen after `delay`.
    pub(super) fn schedule(&self, delay: Duration, action: impl FnOnce(&Rc<Self>) + 'static) {
        let serial = self.scheduled.get();
        self.scheduled.set(serial + 1);
        self.actions
            .borrow_mut()
            .insert((self.now() + delay, serial), Box::new(action));
    }

    pub(super) fn boot(&self, node: NodeId) -> u64 {
        self.crash(node);
        let mut nodes = self.nodes.borrow_mut();
        let node = nodes.entry(node).or_default();
        node.up = true;
        node.cpu.restart(self.now());
        node.epoch += 1;
        node.epoch
    }

    pub(super) fn crash_epoch(&self, node: NodeId, epoch: u64) {
        if self.is_alive(node, epoch) {
            self.crash(node);
        }
    }

    pub(super) fn crash(&self, node: NodeId) {
        let (inbox, pipes, disk) = {
            let mut nodes = self.nodes.borrow_mut();
            let Some(node) = nodes.get_mut(&node).filter(|node| node.up) else {
                return;
            };
            node.up = false;
            (
                node.inbox.take(),
                std::mem::take(&mut node.pipes),
                Rc::clone(&node.disk),
            )
        };
        self.executor.kill(Some(node));
        if let Some(inbox) = inbox {
            inbox.closed();
        }
        for pipe in pipes.iter().filter_map(Weak::upgrade) {
            pipe.reset();
        }
        self.listeners
            .borrow_mut()
            .retain(|_, backlog| backlog.node != node);
        disk.crash(&mut self.rng.borrow_mut());
    }

    pub(super) fn is_up(&self, node: NodeId) -> bool {
        self.nodes.borrow().get(&node).is_some_and(|node| node.up)
    }

    pub(super) fn is_alive(&self, node: NodeId, epoch: u64) -> bool {
        self.nodes
            .borrow()
            .get(&node)
            .is_some_and(|node| node.up && node.epoch == epoch)
    }

    pub(super) fn cpu_times(&self, node: NodeId) -> CpuTimes {
        self.with_cpu(node, |cpu| cpu.times).unwrap_or_default()
    }

    /// Adds to what the worker of a node did with its time.
    pub(super) fn spend_cpu(&self, node: NodeId, times: CpuTimes) {
        self.with_cpu(node, |cpu| cpu.times = cpu.times + times);
    }

    pub(super) fn set_cpu(&self, node: NodeId, speed: Option<CpuSpeed>) {
        self.slow_cpus.set(true);
        self.nodes.borrow_mut().entry(node).or_default().cpu.speed = speed;
    }

    pub(super) fn has_slow_cpus(&self) -> bool {
        self.slow_cpus.get()
    }

    pub(super) fn with_cpu<R>(&self, node: NodeId, look: impl FnOnce(&mut Cpu) -> R) -> Option<R> {
        self.nodes
            .borrow_mut()
            .get_mut(&node)
            .map(|node| look(&mut node.cpu))
    }

    pub(super) fn set_clock(&self, node: NodeId, skew: ClockSkew) {
        let clock = self.clock(node);
        let mut skewed = clock.get();
        skewed.skew(self.now(), skew);
        clock.set(skewed);
    }

    /// The clock of a node, whichever of its lives looks at it.
    pub(super) fn clock(&self, node: NodeId) -> Rc<Cell<Clock>> {
        Rc::clone(&self.nodes.borrow_mut().entry(node).or_default().clock)
    }

    /// Ends everything, so that nothing keeps the world alive.
    pub(super) fn shut_down(&self) {
        self.executor.kill(None);
        let inboxes: Vec<_> = (self.nodes.borrow_mut().values_mut())
            .filter_map(|node| node.inbox.take())
            .collect();
        for inbox in inboxes {
            inbox.closed();
        }
        self.listeners.take();
        self.timers.clear();
        let forgotten = self.actions.take();
        drop(forgotten);
    }

    pub(super) fn this(&self) -> Rc<Self> {
        self.this.upgrade().expect("the caller holds the world")
    }

    pub(super) fn epoch(&self, node: NodeId) -> u64 {
        self.nodes.borrow().get(&node).map_or(0, |node| node.epoch)
    }

    pub(super) fn inbox(&self, node: NodeId) -> Option<Rc<dyn Inbox>> {
        self.nodes.borrow().get(&node)?.inbox.clone()
    }

    pub(super) fn set_inbox(&self, node: NodeId, inbox: Rc<dyn Inbox>) {
        if let Some(node) = self.nodes.borrow_mut().get_mut(&node) {
            node.inbox = Some(inbox);
        }
    }

    pub(super) fn add_pipe(&self, node: NodeId, pipe: &Rc<Pipe>) {
        if let Some(node) = self.nodes.borrow_mut().get_mut(&node) {
            node.pipes.retain(|pipe| pipe.strong_count() > 0);
            node.pipes.push(Rc::downgrade(pipe));
        }
    }

    pub(super) fn disk(&self, node: NodeId) -> Rc<SimDisk> {
        Rc::clone(&self.nodes.borrow_mut().entry(node).or_default().disk)
    }

    fn step(&self, task: TaskId) {
        self.executor.run(task);
        self.steps.set(self.steps.get() + 1);
    }

    /// Advances until `end`, or until `reached` holds.
    pub(super) fn run_until(&self, end: Instant, mut reached: impl FnMut() -> bool) {
        let this = self.this();
        loop {
            while let Some((task, node)) = self.executor.next() {
                match self.cpu_delay(node) {
                    Some(delay) => self.schedule(delay, move |world| world.step(task)),
                    None => self.step(task),
                }
            }
            if reached() {
                return;
            }
            let action = self
                .actions
                .borrow()
                .first_key_value()
                .map(|(key, _)| key.0);
            let timer = self.timers.next();
            let next = match (action, timer) {
                (Some(action), Some(timer)) => action.min(timer),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => end,
            };
            if next >= end {
                self.clock.set(end);
                return;
            }
            self.clock.set(next.max(self.now()));
            if action == Some(next) {
                let due = self.actions.borrow_mut().pop_first();
                if let Some((_, due)) = due {
                    due(&this);
                }
            } else {
                self.timers.fire(next);
            }
        }
    }
}
