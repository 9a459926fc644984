use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;
use vocab::units::Bytes;

use super::LoopDiskError;

/// Left free on the file system that holds the image.
const RESERVE: u64 = 512 << 20;

/// Makes a file without a name, of `size` zero bytes that are all really on disk: a block written for the first time
/// later would cost a change of the file's extents, in the middle of a measurement.
pub(super) fn create(dir: &Path, size: Bytes) -> Result<File, LoopDiskError> {
    let mut file = reserve(dir, size)?;
    let mut fill = || {
        let zeros = vec![0; 4 << 20];
        let mut left = size.as_usize();
        while left > 0 {
            let part = left.min(zeros.len());
            file.write_all(&zeros[..part])?;
            left -= part;
        }
        file.sync_all()
    };
    fill().map_err(LoopDiskError::step(format!(
        "write a disk image of {size} in {}",
        dir.display()
    )))?;
    Ok(file)
}

/// Makes a file without a name whose `size` bytes have their place on the disk.
pub(crate) fn reserve(dir: &Path, size: Bytes) -> Result<File, LoopDiskError> {
    let free = statvfs(dir).map_err(LoopDiskError::step(format!(
        "look at the file system of {}",
        dir.display()
    )))?;
    let free = free.blocks_available() * free.fragment_size();
    if free < size.0 + RESERVE {
        let (free, kept) = (Bytes(free), Bytes(RESERVE));
        let full =
            std::io::Error::other(format!("only {free} are free, and {kept} are to stay so"));
        let step = format!("make a disk image of {size} in {}", dir.display());
        return Err(LoopDiskError::step(step)(full));
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE)
        .open(dir)
        .map_err(LoopDiskError::step(format!(
            "make a file without a name in {}",
            dir.display()
        )))?;
    fallocate(&file, FallocateFlags::empty(), 0, size.0 as i64).map_err(LoopDiskError::step(
        format!("find room for {size} in {}", dir.display()),
    ))?;
    Ok(file)
}
