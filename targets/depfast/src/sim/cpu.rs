//! Nodes whose worker thread takes time for what it does.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use super::world::World;
use crate::detect::CpuTimes;
use crate::id::NodeId;
use crate::time::Instant;

/// How fast the worker thread of a node is. Without one, whatever a node does takes no time.
#[derive(Clone, Debug)]
pub struct CpuSpeed {
    /// The CPU time of one step: a coroutine's way to its next wait, or the handling of one message.
    pub step: Range<Duration>,
    /// The part of a CPU that it gets, above 0 and up to 1. At a twentieth, a step takes twenty times as long.
    pub share: f64,
}

/// A worker thread in simulation.
#[derive(Default)]
pub(super) struct Cpu {
    pub(super) speed: Option<CpuSpeed>,
    pub(super) times: CpuTimes,
    busy_until: Instant,
}

impl Cpu {
    /// Forgets what an earlier life still had to do.
    pub(super) const fn restart(&mut self, now: Instant) {
        self.busy_until = now;
    }
}

impl World {
    /// Has a node's worker thread do something, when it comes to it.
    pub(super) fn on_cpu(&self, node: NodeId, action: impl FnOnce(&Rc<Self>) + 'static) {
        match self.cpu_delay(node) {
            Some(delay) => self.schedule(delay, action),
            None => action(&self.this()),
        }
    }

    /// Books one step of a node's worker thread; returns the time until it is done, unless steps take no time there.
    pub(super) fn cpu_delay(&self, node: NodeId) -> Option<Duration> {
        if !self.has_slow_cpus() {
            return None;
        }
        self.with_cpu(node, |cpu| {
            let speed = cpu.speed.as_ref()?;
            let running = self.rng.borrow_mut().duration(&speed.step);
            let awake = running.div_f64(speed.share.clamp(0.001, 1.0));
            let queued = awake - running.min(awake);
            let times = CpuTimes {
                running,
                awake,
                queued,
            };
            cpu.times = cpu.times + times;
            cpu.busy_until = cpu.busy_until.max(self.now()) + awake;
            Some(cpu.busy_until.since(self.now()))
        })?
    }
}
