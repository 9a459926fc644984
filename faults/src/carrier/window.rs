use std::time::{Duration, Instant};

use node::cgroup::CpuQuota;
use node::facts::tick;

use crate::reading::{Probe, Reading};
use crate::servers::Servers;

/// Shorter windows measure the scheduler's slices rather than shares.
const SHORTEST: Duration = Duration::from_millis(300);

/// What CPU the servers got in a stretch of time.
pub(super) struct CpuWindow {
    servers: Servers,
    machine: f64,
    start: Instant,
    used: Duration,
    waited: Duration,
}

/// What a window has seen.
pub(super) struct Seen {
    pub(super) length: Duration,
    pub(super) readings: Vec<Reading>,
}

impl CpuWindow {
    /// Opens a window on `servers`, whose machine has so many CPUs.
    pub(super) fn open(servers: &Servers, machine: f64) -> CpuWindow {
        CpuWindow {
            servers: servers.clone(),
            machine,
            start: Instant::now(),
            used: servers.cpu_time(),
            waited: servers.cpu_wait(),
        }
    }

    /// What it has seen so far; sleeps first when that would be too short to tell anything.
    pub(super) fn look(&self) -> Seen {
        std::thread::sleep(SHORTEST.saturating_sub(self.start.elapsed()));
        let now = CpuWindow::open(&self.servers, self.machine);
        let length = now.start - self.start;
        let waited = now.waited.saturating_sub(self.waited).as_secs_f64() / length.as_secs_f64();
        let readings = vec![
            self.servers.alive(),
            Probe::CpuShare.reading(self.share(now.used.saturating_sub(self.used), length)),
            Probe::CpuWait.reading(100.0 * waited),
        ];
        Seen { length, readings }
    }

    /// Starts anew.
    pub(super) fn restart(&mut self) {
        *self = CpuWindow::open(&self.servers, self.machine);
    }

    /// The most that a quota lets the servers have in a window of this length: it holds on average over its periods, and
    /// the kernel notices that it is used up at the next tick of each CPU only.
    pub(super) fn allowed(&self, quota: CpuQuota, length: Duration) -> Reading {
        let noticed = tick().duration() * self.servers.cpus().len().max(1) as u32;
        let most = (length + quota.period().duration()).mul_f64(quota.cpus()) + noticed;
        Probe::AllowedShare.reading(self.share(most, length))
    }

    /// CPU time as per cent of what the machine had in `length`.
    pub(super) fn share(&self, used: Duration, length: Duration) -> f64 {
        100.0 * used.as_secs_f64() / (length.as_secs_f64() * self.machine)
    }
}

/// The part of `whole` that `part` is, in per cent; nothing of nothing is nothing.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
