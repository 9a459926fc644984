//! Swap space of our own, for a memory limit that slows instead of kills: a file without a name made a block device.
//!
//! Swap is one for the whole machine and outlives the process that added it, so its end is in the journal. Everything else
//! goes by itself: the device clears itself when nobody uses it, and the file has no name.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};
use vocab::units::Bytes;

use crate::journal::{Entry, Journal, Undo};
use crate::loopdisk::{self, LoopDevice, LoopDiskError};

/// Swap space that is ready, but not in use.
#[derive(Debug)]
pub struct SwapDisk {
    device: LoopDevice,
    image: u64,
}

/// Where a swap area's header and its signature are, and the version that all kernels know.
const HEADER: u64 = 1024;
const SIGNATURE: &[u8] = b"SWAPSPACE2";
const VERSION: u32 = 1;

impl SwapDisk {
    /// Makes swap space of `size` in a file in `dir`.
    ///
    /// # Errors
    /// When loop devices are not within reach (root is needed), or there is no room.
    pub fn make(dir: &Path, size: Bytes) -> Result<SwapDisk, LoopDiskError> {
        let image = loopdisk::reserve(dir, size)?;
        let page = page_size();
        let format = || -> io::Result<u64> {
            let last_page = (size.0 / page).saturating_sub(1) as u32;
            // Version, last page, number of bad pages.
            for (index, word) in [VERSION, last_page, 0].into_iter().enumerate() {
                image.write_all_at(&word.to_ne_bytes(), HEADER + index as u64 * 4)?;
            }
            image.write_all_at(SIGNATURE, page - SIGNATURE.len() as u64)?;
            image.sync_all()?;
            Ok(image.metadata()?.ino())
        };
        let inode = format().map_err(LoopDiskError::step("write the header of a swap area"))?;
        Ok(SwapDisk {
            device: LoopDevice::attach(&image)?,
            image: inode,
        })
    }

    /// Its device file.
    pub fn device(&self) -> &Path {
        self.device.path()
    }

    /// Lets the machine swap to it until the entry is undone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn put_to_use(&self, journal: &Journal) -> Result<Entry, LoopDiskError> {
        let undo = Undo::SwapOff {
            device: self.device().to_owned(),
            image: self.image,
        };
        let entry = journal.record(undo)?;
        match swapon(self.device()) {
            Ok(()) => Ok(entry),
            Err(error) => {
                entry.undone()?;
                let step = format!("swap to {}", self.device().display());
                Err(LoopDiskError::step(step)(error))
            }
        }
    }
}

/// Ends the use of swap space that [`SwapDisk::put_to_use`] began; fine when it has ended.
pub(crate) fn swap_off(device: &Path, image: u64) -> io::Result<()> {
    // The number may have been given to somebody else's file since.
    if loopdisk::image_of_ours(device)? != Some(image) {
        return Ok(());
    }
    let path = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that outlives the call.
    match unsafe { libc::swapoff(path.as_ptr()) } {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            error => Err(error),
        },
    }
}

fn swapon(device: &Path) -> io::Result<()> {
    let path = CString::new(device.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that outlives the call.
    match unsafe { libc::swapon(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn page_size() -> u64 {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok())
        .unwrap_or(4096)
}

/// Whether `path` can be a device of ours.
pub(crate) fn is_loop(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.strip_prefix("loop"));
    path.parent() == Some(Path::new("/dev"))
        && number.is_some_and(|number| number.parse::<u32>().is_ok())
}
