use node::cgroup::{self, Child, NodeCgroup, Scope};

use super::disk_window::DiskWindow;
use super::synced_write::SyncedWrites;
use super::{Carrier, group};
use crate::available::Backend;
use crate::context::{Disk, FaultContext};
use crate::error::FaultError;
use crate::reading::Reading;
use crate::servers::Servers;
use crate::standing::Standing;

const SERVER: Scope = Scope::Child(Child::Server);

/// A limit on what the server's cgroup may ask of its disk.
pub(super) struct DiskLimit {
    group: NodeCgroup,
    servers: Servers,
    disk: Disk,
    limit: cgroup::DiskLimit,
    backend: Backend,
    window: DiskWindow,
    writes: SyncedWrites,
    standing: Standing,
}

impl DiskLimit {
    pub(super) fn new(
        fault: &'static str,
        limit: cgroup::DiskLimit,
        backend: Backend,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let group = group(fault, context)?;
        let servers = context.servers(fault);
        servers.check()?;
        let disk = context.disk(fault)?;
        group.count_disk(SERVER, disk.whole.number)?;
        Ok(DiskLimit {
            window: DiskWindow::open(&group, disk.whole.number, &servers),
            writes: SyncedWrites::prepare(&disk.dir, Some(&group), &context.helper)?,
            group,
            servers,
            disk,
            limit,
            backend,
            standing: Standing::default(),
        })
    }
}

impl Carrier for DiskLimit {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        let number = self.disk.whole.number;
        self.standing
            .add(self.group.limit_disk(SERVER, number, self.limit)?);
        let limit = match self.limit {
            cgroup::DiskLimit::Bytes(bytes) => format!("{bytes} bytes"),
            cgroup::DiskLimit::Operations(operations) => format!("{operations} operations"),
        };
        Ok(format!(
            "server limited to {limit} per second, reads and writes each, on disk {}",
            self.disk.whole
        ))
    }

    fn mark(&mut self) {
        self.window.restart();
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = vec![self.servers.alive()];
        readings.extend(self.window.look());
        if !self.standing.is_empty() {
            readings.push(self.window.allowed(self.limit));
        }
        if self.backend == Backend::BlkioThrottle {
            readings.extend(self.window.unseen_writes());
        }
        readings.extend(self.writes.measure());
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.standing.undo()
    }
}
