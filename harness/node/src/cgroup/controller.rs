use std::fmt;

use serde::{Deserialize, Serialize};

/// A cgroup controller that depbench uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// Quota and weight.
    Cpu,
    /// CPU time used (in version 2 always there).
    Cpuacct,
    /// Which processors.
    Cpuset,
    /// Limits and use of memory.
    Memory,
    /// Disk limits and counters (`blkio` in version 1).
    Io,
    /// Stops and continues all processes (in version 2 always there).
    Freezer,
}

impl Controller {
    /// All of them.
    pub const ALL: [Controller; 6] = [
        Controller::Cpu,
        Controller::Cpuacct,
        Controller::Cpuset,
        Controller::Memory,
        Controller::Io,
        Controller::Freezer,
    ];

    pub(super) fn name_v1(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Cpuacct => "cpuacct",
            Controller::Cpuset => "cpuset",
            Controller::Memory => "memory",
            Controller::Io => "blkio",
            Controller::Freezer => "freezer",
        }
    }

    /// Its name where it has to be enabled; `None` for what version 2 always has.
    pub(super) fn name_v2(self) -> Option<&'static str> {
        match self {
            Controller::Cpu => Some("cpu"),
            Controller::Cpuset => Some("cpuset"),
            Controller::Memory => Some("memory"),
            Controller::Io => Some("io"),
            Controller::Cpuacct | Controller::Freezer => None,
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name_v1())
    }
}
