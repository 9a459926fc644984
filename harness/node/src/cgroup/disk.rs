use std::fs;

use serde::{Deserialize, Serialize};

use super::CgroupError;
use super::controller::Controller;
use super::files::{read, write};
use super::hierarchy::Mode;
use super::limit::file;
use super::node::NodeCgroup;
use super::stat::Scope;
use crate::blockdev::DeviceNumber;
use crate::journal::{Entry, FileWrite};

/// A limit on what a group may ask of a disk, reads and writes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskLimit {
    /// Bytes in a second.
    Bytes(u64),
    /// Operations in a second.
    Operations(u32),
}

/// What a group has asked of one disk since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskStat {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

impl DiskLimit {
    fn value(self) -> u64 {
        match self {
            DiskLimit::Bytes(bytes) => bytes,
            DiskLimit::Operations(operations) => u64::from(operations),
        }
    }

    /// The files of version 1.
    fn files_v1(self) -> [&'static str; 2] {
        match self {
            DiskLimit::Bytes(_) => [
                "blkio.throttle.read_bps_device",
                "blkio.throttle.write_bps_device",
            ],
            DiskLimit::Operations(_) => [
                "blkio.throttle.read_iops_device",
                "blkio.throttle.write_iops_device",
            ],
        }
    }

    /// The keys of version 2.
    fn keys_v2(self) -> [&'static str; 2] {
        match self {
            DiskLimit::Bytes(_) => ["rbps", "wbps"],
            DiskLimit::Operations(_) => ["riops", "wiops"],
        }
    }
}

impl NodeCgroup {
    /// Limits what a group may ask of a whole disk. The former limit is restored by undoing the entry.
    ///
    /// Version 1 limits what is submitted by the group's own threads: direct and synced writes, and reads. It does not
    /// see plain buffered writes, which the kernel writes back later in its own name.
    ///
    /// # Errors
    /// When there is no such disk, or no `blkio` (`io`) controller.
    pub fn limit_disk(
        &self,
        scope: Scope,
        disk: DeviceNumber,
        limit: DiskLimit,
    ) -> Result<Entry, CgroupError> {
        let dir = self.dir(Controller::Io, scope)?;
        let value = limit.value();
        let (former, new) = match self.inner.hierarchies.mode() {
            Mode::V1 => {
                let mut former = Vec::new();
                for name in limit.files_v1() {
                    let text = read(&dir.join(name))?;
                    let value = of_device(&text, disk).unwrap_or("0");
                    former.push(file(&dir, name, &format!("{disk} {value}")));
                }
                let line = format!("{disk} {value}");
                let new = limit.files_v1().map(|name| file(&dir, name, &line));
                (former, new.to_vec())
            }
            Mode::V2 | Mode::None => {
                let [former, new] = io_max(&read(&dir.join("io.max"))?, disk, limit);
                let line = |line: String| vec![file(&dir, "io.max", &line)];
                (line(former), line(new))
            }
        };
        let set = |one: &FileWrite| write(&one.path, &one.content);
        self.change(former, || new.iter().try_for_each(set))
    }

    /// Makes the kernel count what a group asks of a disk from now on. Version 1 does so only once a limit was spoken of,
    /// be it that there is none; nothing else changes by it.
    ///
    /// # Errors
    /// When there is no such disk, or no `blkio` (`io`) controller.
    pub fn count_disk(&self, scope: Scope, disk: DeviceNumber) -> Result<(), CgroupError> {
        let dir = self.dir(Controller::Io, scope)?;
        if self.inner.hierarchies.mode() == Mode::V2 {
            return Ok(());
        }
        let path = dir.join(DiskLimit::Bytes(0).files_v1()[1]);
        match of_device(&read(&path)?, disk) {
            Some(_) => Ok(()),
            None => write(&path, &format!("{disk} 0")),
        }
    }

    /// What a group has asked of a disk so far, since [`NodeCgroup::count_disk`]; `None` where the kernel does not count it.
    pub fn disk_stat(&self, scope: Scope, disk: DeviceNumber) -> Option<DiskStat> {
        let dir = self.dir(Controller::Io, scope).ok()?;
        let text = |name| fs::read_to_string(dir.join(name)).ok();
        Some(match self.inner.hierarchies.mode() {
            Mode::V1 => {
                let bytes = text("blkio.throttle.io_service_bytes_recursive")?;
                let operations = text("blkio.throttle.io_serviced_recursive")?;
                DiskStat {
                    read_bytes: blkio(&bytes, disk, "Read"),
                    write_bytes: blkio(&bytes, disk, "Write"),
                    reads: blkio(&operations, disk, "Read"),
                    writes: blkio(&operations, disk, "Write"),
                }
            }
            Mode::V2 | Mode::None => {
                let text = text("io.stat")?;
                let line = of_device(&text, disk).unwrap_or_default();
                let number = |key| keyed(line, key)?.parse().ok();
                DiskStat {
                    read_bytes: number("rbytes").unwrap_or_default(),
                    write_bytes: number("wbytes").unwrap_or_default(),
                    reads: number("rios").unwrap_or_default(),
                    writes: number("wios").unwrap_or_default(),
                }
            }
        })
    }
}

/// The lines for `io.max` (version 2) that restore what stands there and that set a limit.
fn io_max(text: &str, disk: DeviceNumber, limit: DiskLimit) -> [String; 2] {
    let now = of_device(text, disk).unwrap_or_default();
    let former = |key| keyed(now, key).unwrap_or("max");
    let ([read, write], value) = (limit.keys_v2(), limit.value());
    [
        format!("{disk} {read}={} {write}={}", former(read), former(write)),
        format!("{disk} {read}={value} {write}={value}"),
    ]
}

/// What stands after the device in its line.
fn of_device(text: &str, disk: DeviceNumber) -> Option<&str> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(device, _)| DeviceNumber::parse(device) == Some(disk))
        .map(|(_, rest)| rest.trim())
}

/// The value of `key` in `key=value` words.
fn keyed<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// The number in the line `major:minor operation number`.
fn blkio(text: &str, disk: DeviceNumber, operation: &str) -> u64 {
    let number = |line: &str| {
        let mut words = line.split_whitespace();
        let ours = DeviceNumber::parse(words.next()?) == Some(disk);
        (ours && words.next()? == operation).then(|| words.next()?.parse().ok())?
    };
    text.lines().find_map(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: DeviceNumber = DeviceNumber { major: 7, minor: 1 };

    #[test]
    fn lines_of_a_disk_are_found() {
        let text = "7:0 rbps=max wbps=1 riops=max wiops=max\n7:1 rbps=max wbps=131072 riops=max wiops=max\n";
        let line = of_device(text, DISK).unwrap();
        assert_eq!(keyed(line, "wbps"), Some("131072"));
        assert_eq!(keyed(line, "none"), None);
        let text = "7:10 Write 9\n7:1 Read 3\n7:1 Write 5\nTotal 8\n";
        assert_eq!(blkio(text, DISK, "Write"), 5);
        assert_eq!(blkio("", DISK, "Write"), 0);
    }

    #[test]
    fn in_version_2_one_line_limits_and_another_restores() {
        let unlimited = ["7:1 rbps=max wbps=max", "7:1 rbps=131072 wbps=131072"];
        let bytes = DiskLimit::Bytes(131_072);
        // A disk without a limit has no line.
        assert_eq!(io_max("", DISK, bytes), unlimited);
        let others = "7:10 rbps=1 wbps=1 riops=max wiops=max\n";
        assert_eq!(io_max(others, DISK, bytes), unlimited);
        // What somebody else has limited is theirs again afterwards; what is of another kind is not touched.
        let limited = "7:1 rbps=max wbps=5000 riops=9 wiops=max\n";
        assert_eq!(
            io_max(limited, DISK, bytes),
            ["7:1 rbps=max wbps=5000", "7:1 rbps=131072 wbps=131072"]
        );
        assert_eq!(
            io_max(limited, DISK, DiskLimit::Operations(50)),
            ["7:1 riops=9 wiops=max", "7:1 riops=50 wiops=50"]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[0-9 =:\\na-zR]{0,200}") {
            of_device(&text, DISK);
            keyed(&text, "rbps");
            blkio(&text, DISK, "Read");
        }
    }
}
