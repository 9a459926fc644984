//! A disk of the machine that is formatted for a run and mounted until its end. Whatever may be somebody's is refused.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::tool::{Call, Program, ToolError};

/// What file systems are called that were made here, and may be made anew.
const LABEL: &str = "depbench";

/// A device that nothing speaks against formatting. While this lives, nobody else can mount it.
#[derive(Debug)]
pub struct SpareDevice {
    path: PathBuf,
    _claim: File,
}

/// A mounted disk. Dropping it leaves it mounted: it goes with the mount namespace, or by [`ExtraDisk::unmount`].
#[derive(Debug)]
pub struct ExtraDisk {
    mount_point: PathBuf,
}

impl SpareDevice {
    /// Looks whether a device may be formatted; nothing is changed.
    ///
    /// # Errors
    /// It is no block device, is in use (mounted, swap, part of another device), or holds a partition table or a file
    /// system that was not made here; or this cannot be found out.
    pub fn look(path: &Path) -> Result<SpareDevice, ExtraDiskError> {
        let refused = |reason: String| ExtraDiskError::Refused {
            device: path.to_owned(),
            reason,
        };
        let kind = fs::metadata(path).map_err(|error| refused(error.to_string()))?;
        if !kind.file_type().is_block_device() {
            return Err(refused("it is no block device".to_owned()));
        }
        let claim = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_EXCL)
            .open(path);
        let claim = claim.map_err(|error| match error.raw_os_error() {
            Some(libc::EBUSY) => refused(
                "it is in use: mounted, swap, or part of another device (see `lsblk`)".to_owned(),
            ),
            _ => refused(error.to_string()),
        })?;
        let found = signatures(path)?;
        if !found.is_empty() && !is_ours(&found) {
            return Err(refused(format!(
                "it holds {}; if nobody needs that any more, remove it by hand: wipefs --all {}",
                found.join(", "),
                path.display()
            )));
        }
        Ok(SpareDevice {
            path: path.to_owned(),
            _claim: claim,
        })
    }

    /// Makes a file system on it and mounts that. What was on the device is lost.
    ///
    /// To be called in a mount namespace of the node's own, else the mount outlives the caller.
    ///
    /// # Errors
    /// When `mkfs.ext4` is missing or fails, or the kernel refuses the mount.
    pub fn format(self, mount_point: &Path) -> Result<ExtraDisk, ExtraDiskError> {
        let SpareDevice { path, _claim } = self;
        // `mkfs.ext4` claims it itself.
        drop(_claim);
        Call::new(Program::MkfsExt4)
            .args(["-q", "-F", "-m", "0", "-L", LABEL])
            .args(["-E", "lazy_itable_init=0,lazy_journal_init=0"])
            .args([path.to_string_lossy()])
            .run()?;
        let flags = MsFlags::MS_NOATIME | MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
        let none: Option<&str> = None;
        mount(Some(&path), mount_point, Some("ext4"), flags, none).map_err(|error| {
            step(
                format!("mount {} on {}", path.display(), mount_point.display()),
                error,
            )
        })?;
        Ok(ExtraDisk {
            mount_point: mount_point.to_owned(),
        })
    }
}

impl ExtraDisk {
    /// Unmounts it; the file system stays on the device.
    ///
    /// # Errors
    /// `EBUSY` while a file on it is open.
    pub fn unmount(self) -> Result<(), ExtraDiskError> {
        umount2(&self.mount_point, MntFlags::empty())
            .map_err(|error| step(format!("unmount {}", self.mount_point.display()), error))
    }
}

/// What a device holds, as `blkid` says: `PTTYPE=gpt`, `TYPE=ext4`, `LABEL=data`.
fn signatures(path: &Path) -> Result<Vec<String>, ExtraDiskError> {
    let call = Call::new(Program::Blkid)
        .args(["--probe", "--output", "export"])
        .args([path.to_string_lossy()]);
    let output = call.command()?.output();
    let output = output.map_err(|source| ToolError::Start {
        call: call.to_string(),
        source,
    })?;
    match output.status.code() {
        Some(0) => Ok(told(&String::from_utf8_lossy(&output.stdout))),
        // It has looked and found nothing.
        Some(2) if output.stderr.is_empty() => Ok(Vec::new()),
        Some(8) => Ok(vec!["signatures of several kinds".to_owned()]),
        _ => Err(ToolError::Failed {
            call: call.to_string(),
            status: output.status.to_string(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }
        .into()),
    }
}

/// Those of the lines that name a kind or a label.
fn told(lines: &str) -> Vec<String> {
    let kinds = ["TYPE=", "PTTYPE=", "LABEL=", "USAGE="];
    let named = |line: &&str| kinds.iter().any(|kind| line.starts_with(kind));
    let found: Vec<String> = lines.lines().filter(named).map(str::to_owned).collect();
    match found.is_empty() {
        true => vec!["something that `blkid` knows".to_owned()],
        false => found,
    }
}

fn is_ours(found: &[String]) -> bool {
    let has = |text: &str| found.iter().any(|line| line == text);
    has("TYPE=ext4")
        && has(&format!("LABEL={LABEL}"))
        && !found.iter().any(|line| line.starts_with("PTTYPE="))
}

/// A disk could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ExtraDiskError {
    /// It may be somebody's.
    #[error("{} is not formatted: {reason}", device.display())]
    Refused {
        /// Which.
        device: PathBuf,
        /// What speaks against it, with what would help.
        reason: String,
    },
    /// `blkid` or `mkfs.ext4`.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A system call.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was tried.
        step: String,
        /// Why not.
        source: io::Error,
    },
}

fn step(step: String, error: Errno) -> ExtraDiskError {
    ExtraDiskError::Step {
        step,
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_here_is_ours() {
        let ours = told("DEVNAME=/dev/vdb\nLABEL=depbench\nUUID=1\nTYPE=ext4\nUSAGE=filesystem\n");
        assert!(is_ours(&ours), "{ours:?}");
        for foreign in [
            "TYPE=ext4\n",
            "LABEL=data\nTYPE=ext4\n",
            "LABEL=depbench\nTYPE=xfs\n",
            "LABEL=depbench\nTYPE=ext4\nPTTYPE=gpt\n",
            "PTTYPE=dos\n",
            "DEVNAME=/dev/vdb\n",
        ] {
            let found = told(foreign);
            assert!(!found.is_empty() && !is_ours(&found), "{foreign}");
        }
    }

    #[test]
    fn what_is_no_device_is_refused() {
        for path in ["/dev/null", "/nowhere/at/all", "/etc/hostname"] {
            let error = SpareDevice::look(Path::new(path)).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{path} is not formatted")),
                "{error}"
            );
        }
    }
}
