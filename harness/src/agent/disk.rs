//! The disk of a node, which takes seconds to make.

use faults::LatencyWish;
use node::devmapper::{self, DelayHandle};
use node::extradisk::{ExtraDisk, SpareDevice};
use node::loopdisk::{DiskSpec, LoopDisk};
use tokio::task::JoinHandle;

use super::home::Home;
use super::wire::{Consent, Disk, Layer};

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
pub(super) fn begin(disk: &Disk, layer: Layer, home: &Home) -> Option<Making> {
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
            let journal = home.side.journal.clone();
            Some(tokio::task::spawn_blocking(move || {
                let made = match layer {
                    Layer::Latency(wish) if can_delay(wish) => {
                        LoopDisk::create_with_delay(&spec, &journal)
                    }
                    Layer::Latency(_) | Layer::None => LoopDisk::create(&spec),
                };
                match made {
                    Ok(disk) => Ok(Some(OwnDisk::Loop(disk))),
                    Err(error) => Err(NoDisk::Limitation(error.to_string())),
                }
            }))
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

/// Whether the disk is to have a device that delays, and the kernel has one.
fn can_delay(wish: LatencyWish) -> bool {
    wish.is_for_a_device(node::facts::tick()) && devmapper::available().is_yes()
}

impl OwnDisk {
    /// What delays operations on it, if it was made with that.
    pub(super) fn delay(&self) -> Option<DelayHandle> {
        match self {
            OwnDisk::Loop(disk) => disk.delay(),
            OwnDisk::Extra(_) => None,
        }
    }

    /// Unmounts it once nothing on it is open.
    pub(super) fn unmount(self) -> Result<(), String> {
        match self {
            OwnDisk::Loop(disk) => disk.unmount().map_err(|error| error.to_string()),
            OwnDisk::Extra(disk) => disk.unmount().map_err(|error| error.to_string()),
        }
    }
}
