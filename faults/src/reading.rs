use std::fmt;

use serde::{Deserialize, Serialize};

/// What a probe measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which quantity.
    pub probe: Probe,
    /// How much of it, in [`Probe::unit`].
    pub value: f64,
}

/// A quantity that tells whether a fault bites. Rates, shares and counts are of the time
/// since the fault was prepared, injected or cleared, whichever was last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Server processes that are alive.
    ServerProcesses,
    /// Server processes that are stopped.
    StoppedProcesses,
    /// Time the server processes were stopped again and again, of the time since that began.
    StoppedTime,
    /// Time they should have been stopped until then, of the same.
    DueStop,
    /// Servers that were ended on purpose and are not started again by the end of the fault, or were meanwhile.
    KilledServers,
    /// CPU the server got, of the node's machine size.
    CpuShare,
    /// The most CPU that the fault lets the server have in the time looked back on, of the node's machine size.
    AllowedShare,
    /// Periods in which the server was denied CPU that it wanted, of all.
    ThrottledPeriods,
    /// Time the server's threads were ready to run but waited for a CPU, summed over the threads, of the time passed.
    CpuWait,
    /// CPU the competing program got, of the node's machine size.
    ContentionShare,
    /// Memory the server may use.
    MemoryLimit,
    /// Memory charged to the server, page cache included.
    MemoryUsage,
    /// Times the server wanted more memory than its limit.
    MemoryLimitHits,
    /// Pages the server waited for from disk.
    MajorFaults,
    /// Server processes the kernel killed for want of memory.
    OomKills,
    /// Bytes the server read from its disk in a second.
    DiskReadRate,
    /// Bytes the server wrote to its disk in a second.
    DiskWriteRate,
    /// Reads or writes of the server on its disk in a second, whichever are more: they are limited each.
    DiskOperations,
    /// The most bytes in a second that the fault lets the server send, or read or write, in the time looked back on.
    AllowedRate,
    /// The most reads, and as many writes, in a second that the fault lets the server do in the time looked back on.
    AllowedOperations,
    /// Median time of a synced write of 4 KiB on the server's disk, under the server's limits.
    SyncedWrite,
    /// Operations on the servers' files that the layer over them delayed.
    DelayedOperations,
    /// Bytes the server wrote in a second that no limit of cgroup version 1 sees: buffered and never synced.
    UnseenWrites,
    /// Bytes the competing program wrote to the server's disk in a second.
    ContentionWriteRate,
    /// Memory that the competing program holds.
    ContentionMemory,
    /// Bytes of memory that the competing program touched in a second.
    ContentionTouchRate,
    /// Median round trip between the injection site and the other end of the faulted link.
    RoundTrip,
    /// Echoes that were not answered, of those sent.
    LostEchoes,
    /// Echoes that were answered more than once, of those sent.
    DuplicatedEchoes,
    /// Echoes answered after a later one, of those sent.
    OvertakenEchoes,
    /// Packets that went through the fault's queue.
    DelayedPackets,
    /// Packets that the fault's queue had no room for.
    DroppedPackets,
    /// Packets that the fault lost, held back, duplicated or damaged on purpose, of those that went through its queue.
    HitPackets,
    /// How much later than due the latest packet left.
    WorstLateness,
    /// Packets that had to wait for their turn because of the rate.
    PacedPackets,
    /// What left through the fault's queue.
    SentRate,
    /// Packets that a partition kept from arriving.
    CutPackets,
}

impl Probe {
    /// The name in files: `cpu_share`.
    pub fn name(self) -> &'static str {
        match self {
            Probe::ServerProcesses => "server_processes",
            Probe::StoppedProcesses => "stopped_processes",
            Probe::StoppedTime => "stopped_time",
            Probe::DueStop => "due_stop",
            Probe::KilledServers => "killed_servers",
            Probe::CpuShare => "cpu_share",
            Probe::AllowedShare => "allowed_share",
            Probe::ThrottledPeriods => "throttled_periods",
            Probe::CpuWait => "cpu_wait",
            Probe::ContentionShare => "contention_share",
            Probe::MemoryLimit => "memory_limit",
            Probe::MemoryUsage => "memory_usage",
            Probe::MemoryLimitHits => "memory_limit_hits",
            Probe::MajorFaults => "major_faults",
            Probe::OomKills => "oom_kills",
            Probe::DiskReadRate => "disk_read_rate",
            Probe::DiskWriteRate => "disk_write_rate",
            Probe::DiskOperations => "disk_operations",
            Probe::AllowedRate => "allowed_rate",
            Probe::AllowedOperations => "allowed_operations",
            Probe::SyncedWrite => "synced_write",
            Probe::DelayedOperations => "delayed_operations",
            Probe::UnseenWrites => "unseen_writes",
            Probe::ContentionWriteRate => "contention_write_rate",
            Probe::ContentionMemory => "contention_memory",
            Probe::ContentionTouchRate => "contention_touch_rate",
            Probe::RoundTrip => "round_trip",
            Probe::LostEchoes => "lost_echoes",
            Probe::DuplicatedEchoes => "duplicated_echoes",
            Probe::OvertakenEchoes => "overtaken_echoes",
            Probe::DelayedPackets => "delayed_packets",
            Probe::DroppedPackets => "dropped_packets",
            Probe::HitPackets => "hit_packets",
            Probe::WorstLateness => "worst_lateness",
            Probe::PacedPackets => "paced_packets",
            Probe::SentRate => "sent_rate",
            Probe::CutPackets => "cut_packets",
        }
    }

    /// The unit of its values.
    pub fn unit(self) -> &'static str {
        match self {
            Probe::CpuShare
            | Probe::AllowedShare
            | Probe::ThrottledPeriods
            | Probe::StoppedTime
            | Probe::DueStop
            | Probe::CpuWait
            | Probe::ContentionShare
            | Probe::LostEchoes
            | Probe::DuplicatedEchoes
            | Probe::OvertakenEchoes
            | Probe::HitPackets => "%",
            Probe::MemoryLimit | Probe::MemoryUsage | Probe::ContentionMemory => "B",
            Probe::DiskReadRate
            | Probe::DiskWriteRate
            | Probe::AllowedRate
            | Probe::UnseenWrites
            | Probe::ContentionWriteRate
            | Probe::ContentionTouchRate
            | Probe::SentRate => "B/s",
            Probe::RoundTrip | Probe::WorstLateness | Probe::SyncedWrite => "ms",
            Probe::MajorFaults | Probe::DiskOperations | Probe::AllowedOperations => "/s",
            Probe::ServerProcesses
            | Probe::StoppedProcesses
            | Probe::KilledServers
            | Probe::MemoryLimitHits
            | Probe::OomKills
            | Probe::DelayedOperations
            | Probe::DelayedPackets
            | Probe::DroppedPackets
            | Probe::PacedPackets
            | Probe::CutPackets => "",
        }
    }

    /// A reading of this quantity.
    pub fn reading(self, value: f64) -> Reading {
        Reading { probe: self, value }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:.3}{}",
            self.probe.name(),
            self.value,
            self.probe.unit()
        )
    }
}

/// The value of one quantity among readings.
pub(crate) fn value(readings: &[Reading], probe: Probe) -> Option<f64> {
    let found = readings.iter().find(|reading| reading.probe == probe);
    found.map(|reading| reading.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_files() {
        for probe in [Probe::CpuShare, Probe::MemoryLimitHits, Probe::RoundTrip] {
            let text = serde_json::to_string(&probe).unwrap();
            assert_eq!(text, format!("\"{}\"", probe.name()));
        }
    }
}
