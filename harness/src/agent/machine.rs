//! The machine that a node stands for: budget, groups, disk.

mod building;

use std::path::PathBuf;

use faults::Latency;
use node::cgroup::{Child, NodeCgroup, Scope};
use node::identity::ProcessId;

use super::disk::OwnDisk;
use super::process::Ground;

pub(super) use building::Building;

/// A machine that is made.
pub(super) struct Machine {
    groups: Option<NodeCgroup>,
    disk: Option<OwnDisk>,
    latency: Option<Latency>,
    ground: Ground,
    /// A server that was there before.
    adopted: Option<ProcessId>,
    /// The kernel's count when it was last looked at.
    server_oom_kills: u64,
}

impl Machine {
    /// Where its processes start.
    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Its groups.
    pub(super) fn groups(&self) -> Option<&NodeCgroup> {
        self.groups.as_ref()
    }

    /// What makes its disk slow to answer.
    pub(super) fn latency(&self) -> Option<&Latency> {
        self.latency.as_ref()
    }

    /// Whether its disk is a file of the machine's.
    pub(super) fn has_loop_disk(&self) -> bool {
        matches!(self.disk, Some(OwnDisk::Loop(_)))
    }

    /// A server that was there before.
    pub(super) fn adopted(&self) -> Option<ProcessId> {
        self.adopted
    }

    /// Where servers keep their data.
    pub(super) fn data(&self) -> &PathBuf {
        &self.ground.data
    }

    /// Whether the kernel has killed a server for want of memory since this was last asked.
    pub(super) fn server_was_starved(&mut self) -> bool {
        let count = |groups: &NodeCgroup| groups.stat(Scope::Child(Child::Server)).oom_kills;
        let kills = self.groups.as_ref().and_then(count).unwrap_or_default();
        std::mem::replace(&mut self.server_oom_kills, kills) < kills
    }

    /// Undoes it once no process is left; gives what could not be undone.
    pub(super) fn take_apart(self) -> Vec<String> {
        let layer = match self.latency {
            Some(Latency::Layer(layer)) => layer.unmount().err().map(|error| error.to_string()),
            // Goes with the disk.
            Some(Latency::Device(_)) | None => None,
        };
        let disk = self.disk.map(OwnDisk::unmount).and_then(Result::err);
        let groups = self
            .groups
            .and_then(|groups| groups.remove().err())
            .map(|error| error.to_string());
        layer.into_iter().chain(disk).chain(groups).collect()
    }
}
