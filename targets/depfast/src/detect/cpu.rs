//! Does the worker thread get the CPU that it wants?

use std::ops::Sub;
use std::time::Duration;

use super::{Detector, Finding, Observation, Strikes};

/// What a worker thread did with its time, since some start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// It ran on a CPU.
    pub running: Duration,
    /// It did not sleep: it ran, or was kept from running, or waited for memory to be read from a disk.
    pub awake: Duration,
    /// It could have run but waited for its turn, as the scheduler says; also while its control group was throttled.
    pub queued: Duration,
}

impl CpuTimes {
    /// The time in which it would have run if it had had a CPU for itself.
    ///
    /// Neither measure alone knows all of it: the time from a wake-up to the first step is only in `queued`, and the time
    /// that a page fault takes is only in `awake`.
    pub fn wanted(self) -> Duration {
        self.awake.max(self.running + self.queued)
    }

    /// The part of the wanted time that it got, from 0 to 1; `None` if it wanted none.
    pub fn share(self) -> Option<f64> {
        let wanted = self.wanted().as_secs_f64();
        (wanted > 0.0).then(|| (self.running.as_secs_f64() / wanted).min(1.0))
    }
}

impl Sub for CpuTimes {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            running: self.running.saturating_sub(earlier.running),
            awake: self.awake.saturating_sub(earlier.awake),
            queued: self.queued.saturating_sub(earlier.queued),
        }
    }
}

impl std::ops::Add for CpuTimes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            running: self.running + other.running,
            awake: self.awake + other.awake,
            queued: self.queued + other.queued,
        }
    }
}

/// Alerts when the worker thread repeatedly gets less than `share` of the CPU time that it wants, and wants much.
///
/// A worker of this framework never blocks while it is awake, so it should run all that time. If it does not, the CPU is
/// slow, throttled or contended, or memory is short. That may be healthy on a shared machine: `share` says how much is.
#[derive(Clone, Copy, Debug)]
pub struct CpuDetector {
    share: f64,
    patience: u32,
    strikes: Strikes,
}

/// The part of an observation that must have been wanted: what a node that has little to do loses, nobody misses.
const WANTED: f64 = 0.3;

impl CpuDetector {
    /// Alerts at every `patience` bad observations in a row; one is bad when less than `share` was got.
    pub fn new(share: f64, patience: u32) -> Self {
        Self {
            share,
            patience,
            strikes: Strikes::default(),
        }
    }
}

impl Default for CpuDetector {
    /// Less than 40 % three times in a row.
    fn default() -> Self {
        Self::new(0.4, 3)
    }
}

impl Detector for CpuDetector {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Vec<Finding> {
        let got = seen.cpu.share().unwrap_or(1.0);
        let bad = got < self.share && seen.cpu.wanted() > seen.window.mul_f64(WANTED);
        let alert = self.strikes.count(bad, self.patience);
        let finding = Finding {
            label: "share of the CPU time that the worker thread wanted".to_owned(),
            measured: got,
            threshold: self.share,
        };
        alert.then_some(finding).into_iter().collect()
    }
}
