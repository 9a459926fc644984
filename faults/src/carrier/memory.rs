use std::time::Instant;

use node::cgroup::{self, CgroupError, CgroupStat, Child, NodeCgroup, Scope};
use node::journal::{Entry, Journal};
use node::swapdisk::SwapDisk;
use vocab::units::Bytes;

use super::{Carrier, group};
use crate::available::Backend;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec::{MemoryLimit, Swap};
use crate::standing::Standing;

const FAULT: &str = "memory.limit";
/// Of swap space; a server that needs more is killed (v1) or stands nearly still (v2).
const SWAP_SIZE: Bytes = Bytes(512 << 20);

/// How often a limit below what is in use is tried to be set.
const TRIES: u32 = 50;

const SERVER: Scope = Scope::Child(Child::Server);

/// A limit on the server's cgroup.
pub(super) struct Memory {
    group: NodeCgroup,
    servers: Servers,
    limit: cgroup::MemoryLimit,
    swap: Swap,
    swap_disk: Option<SwapDisk>,
    journal: Journal,
    bytes: Bytes,
    since: Instant,
    start: CgroupStat,
    standing: Standing,
}

impl Memory {
    pub(super) fn new(
        spec: &MemoryLimit,
        backend: Backend,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let group = group(FAULT, context)?;
        let servers = context.servers(FAULT);
        servers.check()?;
        Ok(Memory {
            since: Instant::now(),
            start: group.stat(SERVER),
            group,
            servers,
            limit: match backend {
                Backend::MemoryHighSwap | Backend::MemoryHigh => {
                    cgroup::MemoryLimit::Throttle(spec.bytes)
                }
                _ => cgroup::MemoryLimit::Hard(spec.bytes),
            },
            swap: spec.swap,
            swap_disk: match backend {
                Backend::MemoryHighSwap | Backend::MemoryLimitSwap => {
                    Some(SwapDisk::make(context.journal.dir(), SWAP_SIZE)?)
                }
                _ => None,
            },
            journal: context.journal.clone(),
            bytes: spec.bytes,
            standing: Standing::default(),
        })
    }
}

impl Memory {
    /// Sets the limit. A server that writes to its memory faster than the kernel swaps it out makes the kernel give up (v1),
    /// but each try brings it nearer.
    fn limit(&self) -> Result<Entry, FaultError> {
        let mut tries = match self.swap {
            Swap::Auto => TRIES,
            Swap::None => 1,
        };
        loop {
            tries -= 1;
            match self.group.limit_memory(SERVER, self.limit) {
                Err(CgroupError::InUse { .. }) if tries > 0 => {}
                limited => return Ok(limited?),
            }
        }
    }
}

impl Carrier for Memory {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        if self.swap == Swap::None {
            self.standing.add(self.group.forbid_swap(SERVER)?);
        }
        if let Some(disk) = &self.swap_disk {
            self.standing.add(disk.put_to_use(&self.journal)?);
        }
        let entry = self.limit()?;
        self.standing.add(entry);
        let limited = match self.limit {
            cgroup::MemoryLimit::Throttle(bytes) => {
                format!("server throttled above {} bytes of memory", bytes.0)
            }
            cgroup::MemoryLimit::Hard(bytes) => {
                format!("server limited to {} bytes of memory", bytes.0)
            }
        };
        Ok(match (self.swap, &self.swap_disk) {
            (Swap::None, _) => format!("{limited}, without swap"),
            (Swap::Auto, Some(disk)) => format!(
                "{limited}, with {} bytes of swap on {}",
                SWAP_SIZE.0,
                disk.device().display()
            ),
            (Swap::Auto, None) => limited,
        })
    }

    fn mark(&mut self) {
        (self.since, self.start) = (Instant::now(), self.group.stat(SERVER));
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let now = self.group.stat(SERVER);
        let seconds = self.since.elapsed().as_secs_f64().max(1e-3);
        let grown = |counter: fn(&CgroupStat) -> Option<u64>| {
            Some(counter(&now)?.saturating_sub(counter(&self.start)?) as f64)
        };
        let mut readings = vec![self.servers.alive()];
        let limit = Some(self.bytes.0 as f64).filter(|_| !self.standing.is_empty());
        readings.extend(limit.map(|bytes| Probe::MemoryLimit.reading(bytes)));
        let usage = now.memory_bytes.map(|bytes| bytes as f64);
        readings.extend(usage.map(|bytes| Probe::MemoryUsage.reading(bytes)));
        let hits = grown(|stat| stat.memory_limit_hits);
        readings.extend(hits.map(|hits| Probe::MemoryLimitHits.reading(hits)));
        let faults = grown(|stat| stat.major_faults);
        readings.extend(faults.map(|faults| Probe::MajorFaults.reading(faults / seconds)));
        let kills = grown(|stat| stat.oom_kills);
        readings.extend(kills.map(|kills| Probe::OomKills.reading(kills)));
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.standing.undo()
    }
}
