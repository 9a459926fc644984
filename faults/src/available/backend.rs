use std::fmt;

use serde::{Deserialize, Serialize};

/// By which means a fault is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// `cpu.max` or `cpu.cfs_quota_us` on the server's cgroup.
    CgroupQuota,
    /// `SIGSTOP` and `SIGCONT` in turn, metered.
    DutyCycle,
    /// Busy threads in a cgroup with a weight.
    WeightedSpinner,
    /// `memory.high` with swap space of depbench's own (cgroup v2).
    MemoryHighSwap,
    /// `memory.high`: throttled above the limit (cgroup v2).
    MemoryHigh,
    /// `memory.limit_in_bytes` with swap space of depbench's own (cgroup v1).
    MemoryLimitSwap,
    /// `memory.limit_in_bytes`: reclaimed, then killed (cgroup v1).
    MemoryLimit,
    /// A program that writes to memory.
    MemoryToucher,
    /// `io.max` on the server's cgroup (v2).
    IoMax,
    /// `blkio.throttle` on the server's cgroup (v1).
    BlkioThrottle,
    /// A program that writes to the disk.
    DiskWriter,
    /// The kernel's device `dm-delay` below the servers' data.
    DmDelay,
    /// A file system of depbench's own over the servers' data.
    LatencyLayer,
    /// The kernel's own emulation on the node's link.
    Netem,
    /// A token bucket on the node's link.
    Tbf,
    /// depbench's own queue in the hub.
    DelayLine,
    /// depbench's own queue behind a link of its own on the node.
    TapLine,
    /// Rules in a packet filter chain of depbench's own.
    PacketFilter,
    /// `SIGSTOP`, and `SIGCONT` at the end.
    Signals,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::CgroupQuota => "cgroup quota",
            Backend::DutyCycle => "duty cycle (SIGSTOP/SIGCONT)",
            Backend::WeightedSpinner => "spinner in a weighted cgroup",
            Backend::MemoryHighSwap => "cgroup v2 memory.high with swap space of its own",
            Backend::MemoryHigh => "cgroup v2 memory.high",
            Backend::MemoryLimitSwap => "cgroup v1 memory limit with swap space of its own",
            Backend::MemoryLimit => "cgroup v1 memory limit",
            Backend::MemoryToucher => "program that touches memory",
            Backend::IoMax => "cgroup v2 io.max",
            Backend::BlkioThrottle => "cgroup v1 blkio.throttle",
            Backend::DiskWriter => "program that writes to the disk",
            Backend::DmDelay => "dm-delay below the servers' data",
            Backend::LatencyLayer => "file system layer (FUSE) over the servers' data",
            Backend::Netem => "netem",
            Backend::Tbf => "tbf",
            Backend::DelayLine => "delay line in the hub",
            Backend::TapLine => "delay line on the node",
            Backend::PacketFilter => "packet filter",
            Backend::Signals => "signals",
        })
    }
}

impl Backend {
    /// What a machine must have for it.
    pub fn needs(self) -> &'static str {
        match self {
            Backend::CgroupQuota | Backend::WeightedSpinner => "root, cgroup controller cpu",
            Backend::DutyCycle | Backend::Signals => "to be the servers' user",
            Backend::MemoryHighSwap => {
                "root, cgroup v2 controller memory, loop devices, no swap yet"
            }
            Backend::MemoryHigh => "root, cgroup v2 controller memory",
            Backend::MemoryLimitSwap => {
                "root, cgroup v1 controller memory, loop devices, no swap yet"
            }
            Backend::MemoryLimit => "root, cgroup v1 controller memory",
            Backend::MemoryToucher => "as much memory",
            Backend::IoMax => "root, cgroup v2 controller io, a disk",
            Backend::BlkioThrottle => "root, cgroup v1 controller blkio, a disk",
            Backend::DiskWriter => "room on the disk",
            Backend::DmDelay => "root, a disk of the node's own, kernel module dm-delay",
            Backend::LatencyLayer => "FUSE",
            Backend::Netem => "a link of the node, tc, kernel module sch_netem",
            Backend::Tbf => "a link of the node, tc, kernel module sch_tbf",
            Backend::DelayLine => "a hub, iptables, kernel module nfnetlink_queue",
            Backend::TapLine => "root, tc, TUN/TAP, kernel modules ifb and act_mirred",
            Backend::PacketFilter => "a link of the node, iptables",
        }
    }
}
