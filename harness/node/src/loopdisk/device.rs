use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::LoopDiskError;
use crate::blockdev::DeviceNumber;

const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_GET_STATUS64: libc::Ioctl = 0x4C05;
const AUTOCLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;

/// What our devices say their file is called.
const LABEL: &[u8] = b"depbench";

/// `struct loop_info64` of the kernel.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of the kernel.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// An open loop device that clears itself when the last user, this value or a mount, is gone.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    path: PathBuf,
    number: DeviceNumber,
    _file: File,
}

/// Others may take the free device between asking for it and taking it.
const TRIES: u32 = 64;

impl LoopDevice {
    /// Makes `image` a block device with direct I/O.
    pub(crate) fn attach(image: &File) -> Result<LoopDevice, LoopDiskError> {
        let control = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/loop-control")
            .map_err(LoopDiskError::step("open /dev/loop-control (needs root)"))?;
        let mut last = io::Error::from_raw_os_error(libc::EBUSY);
        for _ in 0..TRIES {
            // SAFETY: this request takes no argument.
            let free = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            if free < 0 {
                return Err(LoopDiskError::step("find a free loop device")(
                    io::Error::last_os_error(),
                ));
            }
            let path = PathBuf::from(format!("/dev/loop{free}"));
            match configure(&path, image) {
                Ok(device) => return Ok(device),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => last = error,
                Err(error) => {
                    let step = format!("make {} a disk with direct I/O", path.display());
                    return Err(LoopDiskError::step(step)(error));
                }
            }
        }
        Err(LoopDiskError::step("take a free loop device")(last))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn number(&self) -> DeviceNumber {
        self.number
    }
}

fn configure(path: &Path, image: &File) -> io::Result<LoopDevice> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    set_up(file.as_raw_fd(), image.as_raw_fd())?;
    let device = file.metadata()?.rdev();
    Ok(LoopDevice {
        path: path.to_owned(),
        number: DeviceNumber::of(device),
        _file: file,
    })
}

fn set_up(device: RawFd, image: RawFd) -> io::Result<()> {
    // SAFETY: all fields are plain numbers, for which zero is valid and means the default.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = image as u32;
    config.info.flags = AUTOCLEAR | DIRECT_IO;
    config.info.file_name[..LABEL.len()].copy_from_slice(LABEL);
    // SAFETY: the request reads one `loop_config`, which outlives the call.
    match unsafe { libc::ioctl(device, LOOP_CONFIGURE, &raw const config) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The inode of the file behind a loop device, if it is one of ours; `None` for another's, or a free one.
pub(crate) fn image_of_ours(path: &Path) -> io::Result<Option<u64>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // SAFETY: all fields are plain numbers, for which zero is valid.
    let mut info: LoopInfo = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes one `loop_info64`, which outlives the call.
    let answer = unsafe { libc::ioctl(file.as_raw_fd(), LOOP_GET_STATUS64, &raw mut info) };
    match answer {
        0 => Ok(info.file_name.starts_with(LABEL).then_some(info.inode)),
        _ => match io::Error::last_os_error() {
            // Nothing is behind it.
            error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            error => Err(error),
        },
    }
}
