//! The disk of a node, which takes seconds to make.

use node::extradisk::{ExtraDisk, SpareDevice};
use node::loopdisk::{DiskSpec, LoopDisk};
use tokio::task::JoinHandle;

use super::home::Home;
use super::wire::{Consent, Disk};

/// A disk that is mounted for this node.
pub(super) enum OwnDisk {
    /// A file of the machine's file system.
    Loop(LoopDisk),
    /// A device of the machine.
    Extra(ExtraDisk),
}

/// Why there is none.
pub(super) enum NoDisk {
    /// A directory does instead, which is told.
    Limitation(String),
    /// Nothing else would do: the device was named.
    Refused(String),
}

/// A disk in the making; `None` where a directory is all that is asked for.
pub(super) type Making = JoinHandle<Result<Option<OwnDisk>, NoDisk>>;

/// Begins to make the disk of a node.
pub(super) fn begin(disk: &Disk, home: &Home) -> Option<Making> {
    let mount_point = home.disk();
    match disk.clone() {
        Disk::Shared => None,
        Disk::Own(size) => {
            let image_dir = home.options.dir.clone();
            let spec = DiskSpec {
                size,
                image_dir,
                mount_point,
            };
            Some(tokio::task::spawn_blocking(
                move || match LoopDisk::create(&spec) {
                    Ok(disk) => Ok(Some(OwnDisk::Loop(disk))),
                    Err(error) => Err(NoDisk::Limitation(error.to_string())),
                },
            ))
        }
        Disk::Device(format) => Some(tokio::task::spawn_blocking(move || {
            let refused =
                |error: node::extradisk::ExtraDiskError| NoDisk::Refused(error.to_string());
            let spare = SpareDevice::look(&format.device).map_err(refused)?;
            match format.consent {
                Consent::Missing => Ok(None),
                Consent::Given => {
                    let disk = spare.format(&mount_point).map_err(refused)?;
                    Ok(Some(OwnDisk::Extra(disk)))
                }
            }
        })),
    }
}

impl OwnDisk {
    /// Unmounts it once nothing on it is open.
    pub(super) fn unmount(self) -> Result<(), String> {
        match self {
            OwnDisk::Loop(disk) => disk.unmount().map_err(|error| error.to_string()),
            OwnDisk::Extra(disk) => disk.unmount().map_err(|error| error.to_string()),
        }
    }
}
