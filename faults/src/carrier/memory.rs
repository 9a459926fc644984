use std::time::Instant;

use node::cgroup::{self, CgroupStat, Child, NodeCgroup, Scope};
use vocab::units::Bytes;

use super::{Carrier, group};
use crate::available::Backend;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec::MemoryLimit;
use crate::standing::Standing;

const FAULT: &str = "memory.limit";
const SERVER: Scope = Scope::Child(Child::Server);

/// A limit on the server's cgroup.
pub(super) struct Memory {
    group: NodeCgroup,
    servers: Servers,
    limit: cgroup::MemoryLimit,
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
                Backend::MemoryHigh => cgroup::MemoryLimit::Throttle(spec.bytes),
                _ => cgroup::MemoryLimit::Hard(spec.bytes),
            },
            bytes: spec.bytes,
            standing: Standing::default(),
        })
    }
}

impl Carrier for Memory {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        let entry = self.group.limit_memory(SERVER, self.limit)?;
        self.standing.add(entry);
        Ok(match self.limit {
            cgroup::MemoryLimit::Throttle(bytes) => {
                format!("server throttled above {} bytes of memory", bytes.0)
            }
            cgroup::MemoryLimit::Hard(bytes) => {
                format!("server limited to {} bytes of memory", bytes.0)
            }
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
