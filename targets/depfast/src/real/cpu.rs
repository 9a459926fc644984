//! What the worker thread does with its time.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::detect::CpuTimes;

/// How long the worker thread was awake. Only that thread writes; it is shareable because the runtime's hooks have to be.
pub(super) struct Wakefulness {
    start: Instant,
    /// Nanoseconds slept, and when the current sleep began; zero while awake.
    slept: AtomicU64,
    asleep_since: AtomicU64,
}

impl Wakefulness {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            slept: AtomicU64::new(0),
            asleep_since: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn fall_asleep(&self) {
        self.asleep_since.store(self.now(), Relaxed);
    }

    pub(super) fn wake_up(&self) {
        let slept = self.now() - self.asleep_since.load(Relaxed);
        self.slept.store(self.slept.load(Relaxed) + slept, Relaxed);
    }

    fn awake(&self) -> Duration {
        Duration::from_nanos(self.now() - self.slept.load(Relaxed))
    }
}

/// The CPU times of the thread that made it.
pub(super) struct Cpu {
    wakefulness: Arc<Wakefulness>,
    /// "time running, time runnable but waiting, time slices", unless the kernel does not keep count.
    schedstat: Option<File>,
    start: CpuTimes,
}

impl Cpu {
    pub(super) fn new(wakefulness: Arc<Wakefulness>) -> Self {
        let mut cpu = Self {
            wakefulness,
            schedstat: File::open("/proc/thread-self/schedstat").ok(),
            start: CpuTimes::default(),
        };
        cpu.start = cpu.times();
        cpu
    }

    /// The times since this was made. To be asked on the same thread.
    pub(super) fn times(&self) -> CpuTimes {
        let running =
            clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
        let times = CpuTimes {
            running,
            awake: self.wakefulness.awake(),
            queued: self.queued().unwrap_or_default(),
        };
        times - self.start
    }

    fn queued(&self) -> Option<Duration> {
        let mut text = [0; 128];
        let length = self.schedstat.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        let nanos = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    }
}

/// Memory that the process occupies, in bytes; zero if the kernel does not say.
pub(super) fn resident_memory() -> u64 {
    // Sizes in pages: all, resident, …
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = page
        .ok()
        .flatten()
        .and_then(|size| u64::try_from(size).ok());
    pages.unwrap_or(0) * page.unwrap_or(4096)
}
