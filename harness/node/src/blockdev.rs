//! Which block device a directory lies on.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
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
        let no_disk = || NoDisk::NotOnOne {
            dir: dir.to_owned(),
        };
        // Major 0 is given to file systems without a device.
        if number.major == 0 {
            return Err(no_disk());
        }
        let device = fs::canonicalize(format!("/sys/dev/block/{number}")).map_err(|_| no_disk())?;
        let whole = match device.join("partition").exists() {
            true => device.parent().map(Path::to_owned).ok_or_else(no_disk)?,
            false => device,
        };
        let text = fs::read_to_string(whole.join("dev")).map_err(|_| no_disk())?;
        let name = whole.file_name().ok_or_else(no_disk)?;
        Ok(WholeDisk {
            name: name.to_string_lossy().into_owned(),
            number: DeviceNumber::parse(&text).ok_or_else(no_disk)?,
        })
    }
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
        "{} lies on no single disk (its file system is in memory, on several disks, or on a network): put the state directory on a disk", dir.display()
    )]
    NotOnOne {
        /// The directory.
        dir: PathBuf,
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
    fn numbers_are_read() {
        let number = DeviceNumber::parse("7:12\n").unwrap();
        assert_eq!(number.to_string(), "7:12");
        assert_eq!(DeviceNumber::parse("7"), None);
    }
}
