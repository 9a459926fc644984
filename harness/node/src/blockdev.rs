//! Which block device a directory lies on.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use serde::{Deserialize, Serialize};

/// A block device as the kernel counts them; what throttling files name it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNumber {
    /// The driver.
    pub major: u64,
    /// The device.
    pub minor: u64,
}

impl DeviceNumber {
    /// Reads `7:0`.
    pub fn parse(text: &str) -> Option<DeviceNumber> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(DeviceNumber {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }

    pub(crate) fn of(device: u64) -> DeviceNumber {
        DeviceNumber {
            major: major(device),
            minor: minor(device),
        }
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// What a disk has done since it is there, for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceStat {
    /// Reads, each that was merged with others counted.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Writes, each that was merged with others counted, and flushes.
    pub writes: u64,
    /// Bytes written.
    pub write_bytes: u64,
}

impl DeviceStat {
    /// Of one disk; `None` where the kernel does not count.
    pub fn of(device: DeviceNumber) -> Option<DeviceStat> {
        DeviceStat::parse(&fs::read_to_string(format!("/sys/dev/block/{device}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<DeviceStat> {
        const SECTOR: u64 = 512;
        let numbers: Vec<u64> = text
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let number = |at: usize| numbers.get(at).copied();
        // Kernels before 5.5 do not count flushes.
        let flushes = number(15).unwrap_or_default();
        Some(DeviceStat {
            reads: number(0)?.saturating_add(number(1)?),
            read_bytes: number(2)?.saturating_mul(SECTOR),
            writes: number(4)?
                .saturating_add(number(5)?)
                .saturating_add(flushes),
            write_bytes: number(6)?.saturating_mul(SECTOR),
        })
    }
}

/// A whole disk: the kernel limits no partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeDisk {
    /// The kernel's name, as `loop0` or `sda`.
    pub name: String,
    /// For throttling.
    pub number: DeviceNumber,
}

impl WholeDisk {
    /// The disk that the file system of `dir` lies on.
    ///
    /// # Errors
    /// When the file system is on no single disk (in memory, on several disks, on a network), or `dir` is not there.
    pub fn under(dir: &Path) -> Result<WholeDisk, NoDisk> {
        let failed = |source| NoDisk::System {
            dir: dir.to_owned(),
            source,
        };
        let number = DeviceNumber::of(fs::metadata(dir).map_err(failed)?.dev());
        WholeDisk::with(number).ok_or_else(|| NoDisk::NotOnOne {
            dir: dir.to_owned(),
        })
    }

    /// The disk with this device file, or the one that it is a partition of.
    ///
    /// # Errors
    /// There is no such block device; the error names those there are.
    pub fn named(device: &Path) -> Result<WholeDisk, NoDisk> {
        let found = fs::metadata(device).ok();
        let found = found.filter(|found| found.file_type().is_block_device());
        let number = found.map(|found| DeviceNumber::of(found.rdev()));
        number
            .and_then(WholeDisk::with)
            .ok_or_else(|| NoDisk::Unknown {
                device: device.to_owned(),
                known: all(),
            })
    }

    fn with(number: DeviceNumber) -> Option<WholeDisk> {
        // Major 0 is given to file systems without a device.
        if number.major == 0 {
            return None;
        }
        let device = fs::canonicalize(format!("/sys/dev/block/{number}")).ok()?;
        let whole = match device.join("partition").exists() {
            true => device.parent()?.to_owned(),
            false => device,
        };
        let text = fs::read_to_string(whole.join("dev")).ok()?;
        Some(WholeDisk {
            name: whole.file_name()?.to_string_lossy().into_owned(),
            number: DeviceNumber::parse(&text)?,
        })
    }
}

/// The names of all block devices that have a size.
fn all() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/block").into_iter().flatten();
    let has_size = |name: &String| {
        let size = fs::read_to_string(format!("/sys/class/block/{name}/size"));
        size.is_ok_and(|size| size.trim() != "0")
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(has_size)
        .collect();
    names.sort();
    names
}

impl fmt::Display for WholeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.number)
    }
}

/// A directory is not on a disk that could be told.
#[derive(Debug, thiserror::Error)]
pub enum NoDisk {
    /// Its file system has no block device, or several.
    #[error(
        "{} lies on no single disk (its file system is in memory, on several disks, or on a network): put the state directory on a disk, or name the `device` of a machine", dir.display()
    )]
    NotOnOne {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no such block device.
    #[error("{} is no block device, there are: {}", device.display(), known.join(", "))]
    Unknown {
        /// What was named.
        device: PathBuf,
        /// Those there are.
        known: Vec<String>,
    },
    /// The directory cannot be looked at.
    #[error("cannot look at {}", dir.display())]
    System {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_no_disk_is_told() {
        let error = WholeDisk::under(Path::new("/proc")).unwrap_err();
        assert!(error.to_string().contains("no single disk"), "{error}");
        let error = WholeDisk::under(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn a_device_that_is_not_there_is_told() {
        let error = WholeDisk::named(Path::new("/dev/null")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("/dev/null is no block device, there are: "),
            "{error}"
        );
    }

    #[test]
    fn what_a_disk_has_done_is_read() {
        let text = "  9 1 16 5 20 3 64 7 0 8 12 0 0 0 0 2 1\n";
        let expected = DeviceStat {
            reads: 10,
            read_bytes: 8192,
            writes: 25,
            write_bytes: 32_768,
        };
        assert_eq!(DeviceStat::parse(text), Some(expected));
        assert_eq!(DeviceStat::parse("9 1 16 5"), None);
    }

    #[test]
    fn numbers_are_read() {
        let number = DeviceNumber::parse("7:12\n").unwrap();
        assert_eq!(number.to_string(), "7:12");
        assert_eq!(DeviceNumber::parse("7"), None);
    }
}
