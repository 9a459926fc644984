use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::node::Child;

/// Whose use is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The whole node, all children together; throttled by its budget.
    Node,
    /// One child; throttled by a quota of its own.
    Child(Child),
}

/// What a group used since it was made. What its kernel does not count is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CgroupStat {
    /// CPU time, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Quota periods in which something wanted to run.
    pub periods: Option<u64>,
    /// Periods in which the quota was used up.
    pub throttled_periods: Option<u64>,
    /// Time in which something wanted to run but the quota was used up, summed over processors, in nanoseconds.
    pub throttled_ns: Option<u64>,
    /// Memory held now, page cache included, in bytes.
    pub memory_bytes: Option<u64>,
    /// Page faults that had to read from disk.
    pub major_faults: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Times the group wanted more memory than it may have.
    pub memory_limit_hits: Option<u64>,
    /// Bytes read from disks.
    pub disk_read_bytes: Option<u64>,
    /// Bytes written to disks.
    pub disk_write_bytes: Option<u64>,
    /// Time in which some process waited for a CPU, in microseconds.
    pub pressure_cpu_us: Option<u64>,
    /// Time in which some process waited for a disk, in microseconds.
    pub pressure_io_us: Option<u64>,
    /// Time in which some process waited for memory, in microseconds.
    pub pressure_memory_us: Option<u64>,
}

impl CgroupStat {
    /// Fills in what the version 1 group at `dir` counts; a file that is not there leaves its counters as they are.
    pub(super) fn read_v1(&mut self, dir: &Path) {
        if let Some(text) = read(dir, "cpuacct.usage") {
            self.cpu_ns = text.trim().parse().ok();
        }
        if let Some(text) = read(dir, "cpu.stat") {
            self.periods = keyed(&text, "nr_periods");
            self.throttled_periods = keyed(&text, "nr_throttled");
            self.throttled_ns = keyed(&text, "throttled_time");
        }
        if let Some(text) = read(dir, "memory.usage_in_bytes") {
            self.memory_bytes = text.trim().parse().ok();
        }
        if let Some(text) = read(dir, "memory.stat") {
            self.major_faults = keyed(&text, "total_pgmajfault");
        }
        if let Some(text) = read(dir, "memory.oom_control") {
            self.oom_kills = keyed(&text, "oom_kill");
        }
        if let Some(text) = read(dir, "memory.failcnt") {
            self.memory_limit_hits = text.trim().parse().ok();
        }
        if let Some(text) = read(dir, "blkio.throttle.io_service_bytes_recursive") {
            self.disk_read_bytes = Some(blkio(&text, "Read"));
            self.disk_write_bytes = Some(blkio(&text, "Write"));
        }
    }

    /// Fills in what the version 2 group at `dir` counts.
    pub(super) fn read_v2(&mut self, dir: &Path) {
        if let Some(text) = read(dir, "cpu.stat") {
            self.cpu_ns = keyed(&text, "usage_usec").map(|us| us.saturating_mul(1000));
            self.periods = keyed(&text, "nr_periods");
            self.throttled_periods = keyed(&text, "nr_throttled");
            self.throttled_ns = keyed(&text, "throttled_usec").map(|us| us.saturating_mul(1000));
        }
        if let Some(text) = read(dir, "memory.current") {
            self.memory_bytes = text.trim().parse().ok();
        }
        if let Some(text) = read(dir, "memory.stat") {
            self.major_faults = keyed(&text, "pgmajfault");
        }
        if let Some(text) = read(dir, "memory.events") {
            self.oom_kills = keyed(&text, "oom_kill");
            let (throttled, refused) = (keyed(&text, "high"), keyed(&text, "max"));
            self.memory_limit_hits = throttled.zip(refused).map(|(high, max)| high + max);
        }
        if let Some(text) = read(dir, "io.stat") {
            self.disk_read_bytes = Some(io_stat(&text, "rbytes="));
            self.disk_write_bytes = Some(io_stat(&text, "wbytes="));
        }
    }

    /// Fills in the pressure that the version 2 group at `dir` felt.
    pub(super) fn read_pressure(&mut self, dir: &Path) {
        let some = |file| {
            crate::procfs::Pressure::parse(&read(dir, file)?)?
                .some_us
                .into()
        };
        self.pressure_cpu_us = some("cpu.pressure");
        self.pressure_io_us = some("io.pressure");
        self.pressure_memory_us = some("memory.pressure");
    }
}

fn read(dir: &Path, file: &str) -> Option<String> {
    fs::read_to_string(dir.join(file)).ok()
}

/// The number after `key` in lines of `key number`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, number)| number.trim().parse().ok())
}

/// Sums lines of `major:minor operation bytes`.
fn blkio(text: &str, operation: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            (words.next()? == operation).then(|| words.next()?.parse::<u64>().ok())?
        })
        .fold(0, u64::saturating_add)
}

/// Sums what stands after `key` in lines of `major:minor rbytes=… wbytes=… …`.
fn io_stat(text: &str, key: &str) -> u64 {
    text.split_whitespace()
        .filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_version_2_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        file(
            "cpu.stat",
            "usage_usec 1500\nuser_usec 1\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7\n",
        );
        file("memory.current", "4096\n");
        file("memory.events", "low 0\nhigh 4\nmax 1\noom 3\noom_kill 2\n");
        file("memory.stat", "anon 1\npgmajfault 9\n");
        file(
            "io.stat",
            "8:0 rbytes=10 wbytes=20 rios=1\n7:0 rbytes=1 wbytes=2 rios=1\n",
        );
        file(
            "cpu.pressure",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
        );
        let mut stat = CgroupStat::default();
        stat.read_v2(dir.path());
        stat.read_pressure(dir.path());
        let expected = CgroupStat {
            cpu_ns: Some(1_500_000),
            periods: Some(10),
            throttled_periods: Some(4),
            throttled_ns: Some(7000),
            memory_bytes: Some(4096),
            major_faults: Some(9),
            oom_kills: Some(2),
            memory_limit_hits: Some(5),
            disk_read_bytes: Some(11),
            disk_write_bytes: Some(22),
            pressure_cpu_us: Some(77),
            ..CgroupStat::default()
        };
        assert_eq!(stat, expected);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[0-9 =:\\na-zR]{0,200}") {
            keyed(&text, "usage_usec");
            blkio(&text, "Read");
            io_stat(&text, "rbytes=");
            let most = u64::MAX;
            blkio(&format!("7:0 Read {most}\n7:1 Read {most}\n"), "Read");
        }
    }

    #[test]
    fn version_1_disk_counters_are_summed_by_operation() {
        let text = "253:0 Read 10\n253:0 Write 5\n7:1 Read 1\nTotal 16\n";
        assert_eq!(blkio(text, "Read"), 11);
        assert_eq!(blkio(text, "Write"), 5);
    }
}
