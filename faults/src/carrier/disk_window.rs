use std::time::Instant;

use node::blockdev::{DeviceNumber, DeviceStat};
use node::cgroup::{Child, DiskLimit, DiskStat, NodeCgroup, Scope};

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
    /// What the disk had done for everybody.
    done: Option<DeviceStat>,
    dirtied: u64,
}

/// The kernel hands out a limit in slices of at most this length. What is within one passes at once, and a window may cut
/// into one at each of its ends.
const SLICE: f64 = 0.1;

impl DiskWindow {
    pub(super) fn open(group: &NodeCgroup, disk: DeviceNumber, servers: &Servers) -> DiskWindow {
        DiskWindow {
            start: Instant::now(),
            stat: group.disk_stat(SERVER, disk).unwrap_or_default(),
            done: DeviceStat::of(disk),
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
        let done = DeviceStat::of(self.disk).zip(self.done);
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let rate = |charged: fn(&DiskStat) -> u64, done_by: fn(&DeviceStat) -> u64| {
            let charged = charged(&now).saturating_sub(charged(&self.stat));
            // Version 1 charges what still waits for its turn; the disk counts what others had it do, too.
            let done = done.map(|(now, then)| done_by(&now).saturating_sub(done_by(&then)));
            done.map_or(charged, |done| done.min(charged)) as f64 / seconds
        };
        let reads = rate(|stat| stat.reads, |done| done.reads);
        let writes = rate(|stat| stat.writes, |done| done.writes);
        vec![
            Probe::DiskReadRate.reading(rate(|stat| stat.read_bytes, |done| done.read_bytes)),
            Probe::DiskWriteRate.reading(rate(|stat| stat.write_bytes, |done| done.write_bytes)),
            Probe::DiskOperations.reading(reads.max(writes)),
        ]
    }

    /// The most in a second that a limit lets pass until now: what it hands out at once, and the operation that waited for
    /// its turn when the window began, of usual size.
    pub(super) fn allowed(&self, limit: DiskLimit) -> Reading {
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let within = |rate: f64, waited: f64| rate + (rate * 2.0 * SLICE + waited) / seconds;
        match limit {
            DiskLimit::Bytes(bytes) => {
                Probe::AllowedRate.reading(within(bytes as f64, self.mean_operation()))
            }
            DiskLimit::Operations(operations) => {
                Probe::AllowedOperations.reading(within(f64::from(operations), 1.0))
            }
        }
    }

    /// In bytes; nothing where there was none.
    fn mean_operation(&self) -> f64 {
        let now = self.group.disk_stat(SERVER, self.disk).unwrap_or_default();
        let bytes = |stat: &DiskStat| stat.read_bytes + stat.write_bytes;
        let operations = |stat: &DiskStat| stat.reads + stat.writes;
        let count = operations(&now).saturating_sub(operations(&self.stat));
        bytes(&now).saturating_sub(bytes(&self.stat)) as f64 / count.max(1) as f64
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
