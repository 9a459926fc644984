//! A disk of its own for a node: a file made a block device, with a fully initialised ext4 file system on it.
//!
//! All nodes of one machine share its disk, so a disk fault on one would slow all. A loop device per node, with direct
//! I/O, can be throttled alone. Nothing has a name that could be left behind: the image is unlinked from the start, the
//! device clears itself when the last user closes it, and the file system is mounted only in the caller's mount namespace.

mod device;
mod image;

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use vocab::units::Bytes;

use crate::blockdev::DeviceNumber;
use crate::devmapper::{DelayDevice, DelayError, DelayHandle};
use crate::journal::{Journal, JournalError};
use crate::tool::{Call, Program, ToolError};
pub(crate) use device::{LoopDevice, image_of_ours};
pub(crate) use image::reserve;

/// What a disk is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// Its size; see [`DiskSpec::DEFAULT_SIZE`].
    pub size: Bytes,
    /// The directory whose file system holds the image; a real disk, for what is measured to be one.
    pub image_dir: PathBuf,
    /// The directory to mount it on.
    pub mount_point: PathBuf,
}

impl DiskSpec {
    /// Enough for a minute of the fastest target's log, and quickly written in full.
    pub const DEFAULT_SIZE: Bytes = Bytes(512 << 20);
    /// Under this, ext4 has no journal worth the name.
    pub const LEAST_SIZE: Bytes = Bytes(64 << 20);
}

/// A mounted disk. Dropping it leaves it mounted: it goes with the mount namespace, or by [`LoopDisk::unmount`].
#[derive(Debug)]
pub struct LoopDisk {
    mount_point: PathBuf,
    device: PathBuf,
    number: DeviceNumber,
    delay: Option<Box<DelayDevice>>,
}

impl LoopDisk {
    /// Makes and mounts a disk. The image is written in full, so it takes as long as writing `size` bytes.
    ///
    /// To be called in a mount namespace of the node's own, else the mount outlives the caller.
    ///
    /// # Errors
    /// When `mkfs.ext4` is missing, loop devices are not within reach (root is needed), or there is no room.
    pub fn create(spec: &DiskSpec) -> Result<LoopDisk, LoopDiskError> {
        LoopDisk::make(spec, None)
    }

    /// The same under a device that can delay what goes to the disk, and does not yet.
    ///
    /// # Errors
    /// As for [`LoopDisk::create`], or the kernel has no such device.
    pub fn create_with_delay(
        spec: &DiskSpec,
        journal: &Journal,
    ) -> Result<LoopDisk, LoopDiskError> {
        LoopDisk::make(spec, Some(journal))
    }

    fn make(spec: &DiskSpec, journal: Option<&Journal>) -> Result<LoopDisk, LoopDiskError> {
        if spec.size < DiskSpec::LEAST_SIZE {
            return Err(LoopDiskError::TooSmall { size: spec.size });
        }
        // Asked first: the rest takes seconds.
        if Program::MkfsExt4.find().is_none() {
            return Err(LoopDiskError::Tool(ToolError::Missing {
                program: Program::MkfsExt4,
            }));
        }
        let image = image::create(&spec.image_dir, spec.size)?;
        let device = LoopDevice::attach(&image)?;
        let over = |journal| DelayDevice::over(device.path(), device.number(), journal);
        let delay = journal.map(over).transpose()?;
        let top = delay.as_ref().map_or(device.path(), DelayDevice::path);
        make_file_system(top)?;
        let none: Option<&str> = None;
        let flags = MsFlags::MS_NOATIME | MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
        mount(Some(top), &spec.mount_point, Some("ext4"), flags, none).map_err(
            LoopDiskError::step(format!(
                "mount {} on {}",
                top.display(),
                spec.mount_point.display()
            )),
        )?;
        Ok(LoopDisk {
            mount_point: spec.mount_point.clone(),
            number: device.number(),
            device: device.path().to_owned(),
            delay: delay.map(Box::new),
        })
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Its device file.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// Its device number, for throttling.
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    /// What delays operations on it; `None` when it was made without.
    pub fn delay(&self) -> Option<DelayHandle> {
        self.delay.as_ref().map(|device| device.handle())
    }

    /// Unmounts it; the devices and the image go with it.
    ///
    /// # Errors
    /// `EBUSY` while a file on it is open.
    pub fn unmount(self) -> Result<(), LoopDiskError> {
        umount2(&self.mount_point, MntFlags::empty()).map_err(LoopDiskError::step(format!(
            "unmount {}",
            self.mount_point.display()
        )))?;
        Ok(self.delay.map_or(Ok(()), |device| device.remove())?)
    }
}

/// Everything is written now, so that no background thread of the file system writes into a measurement later.
fn make_file_system(device: &Path) -> Result<(), LoopDiskError> {
    let device = device.to_string_lossy();
    Call::new(Program::MkfsExt4)
        .args(["-q", "-F", "-m", "0"])
        .args(["-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"])
        .args([device.as_ref()])
        .run()?;
    Ok(())
}

/// A disk could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoopDiskError {
    /// Too small for a file system.
    #[error("a disk of {size} is too small: at least {}", DiskSpec::LEAST_SIZE)]
    TooSmall {
        /// The size asked for.
        size: Bytes,
    },
    /// `mkfs.ext4`.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Its undo could not be noted.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is to delay its operations.
    #[error(transparent)]
    Delay(#[from] DelayError),
    /// A system call.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was tried.
        step: String,
        /// Why not.
        source: io::Error,
    },
}

impl LoopDiskError {
    pub(crate) fn step<E: Into<io::Error>>(
        step: impl Into<String>,
    ) -> impl FnOnce(E) -> LoopDiskError {
        let step = step.into();
        move |error| LoopDiskError::Step {
            step,
            source: error.into(),
        }
    }
}
