use std::time::Instant;

use node::blockdev::DeviceNumber;
use node::cgroup::{Child, DiskStat, NodeCgroup, Scope};

use crate::reading::{Probe, Reading};
use crate::servers::Servers;

const SERVER: Scope = Scope::Child(Child::Server);

/// What the servers asked of their disk in a stretch of time.
pub(super) struct DiskWindow {
    group: NodeCgroup,
    disk: DeviceNumber,
    servers: Servers,
    start: Instant,
    stat: DiskStat,
    dirtied: u64,
}

impl DiskWindow {
    pub(super) fn open(group: &NodeCgroup, disk: DeviceNumber, servers: &Servers) -> DiskWindow {
        DiskWindow {
            start: Instant::now(),
            stat: group.disk_stat(SERVER, disk).unwrap_or_default(),
            dirtied: servers.dirtied_bytes(),
            group: group.clone(),
            disk,
            servers: servers.clone(),
        }
    }

    /// Rates since it was opened; nothing where the kernel does not count.
    pub(super) fn look(&self) -> Vec<Reading> {
        let Some(now) = self.group.disk_stat(SERVER, self.disk) else {
            return Vec::new();
        };
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let rate = |counter: fn(&DiskStat) -> u64| {
            counter(&now).saturating_sub(counter(&self.stat)) as f64 / seconds
        };
        vec![
            Probe::DiskReadRate.reading(rate(|stat| stat.read_bytes)),
            Probe::DiskWriteRate.reading(rate(|stat| stat.write_bytes)),
            Probe::DiskOperations.reading(rate(|stat| stat.reads + stat.writes)),
        ]
    }

    /// What the servers wrote into files without it being charged to their group: buffered, and left to the kernel.
    pub(super) fn unseen_writes(&self) -> Option<Reading> {
        let now = self.group.disk_stat(SERVER, self.disk)?;
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let dirtied = self.servers.dirtied_bytes().saturating_sub(self.dirtied);
        let charged = now.write_bytes.saturating_sub(self.stat.write_bytes);
        let unseen = dirtied.saturating_sub(charged) as f64 / seconds;
        Some(Probe::UnseenWrites.reading(unseen))
    }

    pub(super) fn restart(&mut self) {
        *self = DiskWindow::open(&self.group, self.disk, &self.servers);
    }
}
