use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cgroup::Lodging;
use crate::devmapper;
use crate::identity::ProcessId;
use crate::links::LinkName;
use crate::swapdisk;
use crate::tag;
use crate::tool::iptables::{Chain, Table, Version};
use crate::tool::tc::{Handle, Parent, Preference};

/// How to undo one change. Carrying it out twice, or when the thing is already gone, is a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Undo {
    /// Writes values back into kernel files (under `/sys` or `/proc/sys`), in this order.
    WriteFiles {
        /// The writes.
        writes: Vec<FileWrite>,
    },
    /// Kills what is inside the cgroups at and under these tagged paths, then removes them.
    RemoveCgroup {
        /// One path per hierarchy.
        paths: Vec<PathBuf>,
    },
    /// Moves the threads of an adopted process back into the groups they came from, then removes our groups.
    ReleaseCgroup {
        /// One per hierarchy.
        lodgings: Vec<Lodging>,
    },
    /// Lets a stopped process go on (`SIGCONT`).
    Resume {
        /// The process.
        process: ProcessId,
    },
    /// Kills a process (`SIGKILL`).
    Kill {
        /// The process.
        process: ProcessId,
    },
    /// Kills (`SIGKILL`) every process whose environment has this value in [`tag::MARK`].
    KillMarked {
        /// The value; the owner's name.
        mark: String,
    },
    /// Deletes a qdisc, if it is still the one with our handle.
    DeleteQdisc {
        /// The link it is on.
        device: LinkName,
        /// Where on the link.
        parent: Parent,
        /// Its handle, one of ours.
        handle: Handle,
    },
    /// Deletes the filters of ours before a link's qdisc.
    DeleteFilters {
        /// The link they are on.
        device: LinkName,
        /// Their place, one of ours.
        preference: Preference,
    },
    /// Deletes the place for filters before a link's qdisc, unless a filter is there.
    DeleteClsact {
        /// The link.
        device: LinkName,
    },
    /// Deletes a packet-filter chain of ours and every jump to it.
    DeleteChain {
        /// The chain and where it is jumped to from.
        chain: Chain,
    },
    /// Deletes a packet-filter table that came with a chain of ours, unless it is used.
    DeleteTable {
        /// Of which version of IP.
        version: Version,
        /// The table.
        table: Table,
    },
    /// Deletes a link of ours (its name starts with `db-`).
    DeleteLink {
        /// The link.
        name: LinkName,
    },
    /// Ends the use of swap space of ours.
    SwapOff {
        /// The loop device.
        device: PathBuf,
        /// The inode of the file behind it; of another file it is not ours any more.
        image: u64,
    },
    /// Takes the delay out of a device that delays, and lets it go with its last user.
    RemoveDelay {
        /// Its name, one of ours.
        name: String,
    },
    /// Unmounts a file system of ours ([`tag::LAYER`]); it must lie at or under something tagged.
    Unmount {
        /// Where it is mounted.
        path: PathBuf,
    },
    /// Removes a directory and all it holds; it must lie at or under something tagged.
    RemoveDir {
        /// The directory.
        path: PathBuf,
    },
}

/// One value for one kernel file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileWrite {
    /// The file.
    pub path: PathBuf,
    /// What to write, in one write.
    pub content: String,
}

/// How long what is to be undone can have lived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Until the kernel goes down: nothing is left to undo after a reboot.
    Boot,
    /// On disk.
    Disk,
}

impl Undo {
    /// Writes one value back.
    pub fn write_file(path: impl Into<PathBuf>, content: impl Into<String>) -> Undo {
        Undo::WriteFiles {
            writes: vec![FileWrite {
                path: path.into(),
                content: content.into(),
            }],
        }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        match self {
            Undo::RemoveDir { .. } => Lifetime::Disk,
            _ => Lifetime::Boot,
        }
    }

    /// Whether the undo stays with what is ours; the reason if not.
    pub(super) fn check(&self) -> Result<(), String> {
        let tagged = |path: &Path| match tag::is_tagged(path) {
            true => Ok(()),
            false => Err(format!(
                "{} does not lie at or under a name that starts with `{}`",
                path.display(),
                tag::PREFIX
            )),
        };
        match self {
            Undo::WriteFiles { writes } => writes.iter().try_for_each(|w| kernel_file(&w.path)),
            Undo::RemoveCgroup { paths } => paths.iter().try_for_each(|path| {
                kernel_file(path)?;
                tagged(path)
            }),
            Undo::RemoveDir { path } | Undo::Unmount { path } => tagged(path),
            Undo::ReleaseCgroup { lodgings } => lodgings.iter().try_for_each(|lodging| {
                kernel_file(&lodging.group)?;
                tagged(&lodging.group)?;
                kernel_file(&lodging.home)?;
                let homes = lodging.threads.iter().map(|(_, home)| home);
                homes.into_iter().try_for_each(|home| kernel_file(home))
            }),
            Undo::DeleteLink { name } => match name.is_ours() {
                true => Ok(()),
                false => Err(format!(
                    "link {name} does not start with `{}`",
                    LinkName::PREFIX
                )),
            },
            Undo::KillMarked { mark } => match mark.is_empty() || mark.contains('\0') {
                true => Err(format!("{mark:?} marks no process of ours")),
                false => Ok(()),
            },
            Undo::SwapOff { device, .. } => match swapdisk::is_loop(device) {
                true => Ok(()),
                false => Err(format!("{} is no loop device", device.display())),
            },
            Undo::RemoveDelay { name } => match devmapper::is_ours(name) {
                true => Ok(()),
                false => Err(format!(
                    "device {name} does not start with `{}`",
                    tag::PREFIX
                )),
            },
            Undo::Resume { .. }
            | Undo::Kill { .. }
            | Undo::DeleteQdisc { .. }
            | Undo::DeleteFilters { .. }
            | Undo::DeleteClsact { .. }
            | Undo::DeleteTable { .. }
            | Undo::DeleteChain { .. } => Ok(()),
        }
    }
}

fn kernel_file(path: &Path) -> Result<(), String> {
    let down = path
        .components()
        .all(|part| !matches!(part, std::path::Component::ParentDir));
    let kernel = path.starts_with("/sys") || path.starts_with("/proc/sys");
    (down && kernel)
        .then_some(())
        .ok_or_else(|| format!("{} is not under /sys or /proc/sys", path.display()))
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undo::WriteFiles { writes } => {
                f.write_str("restore")?;
                for write in writes {
                    write!(f, " {}={}", write.path.display(), write.content.trim())?;
                }
                Ok(())
            }
            Undo::RemoveCgroup { paths } => {
                f.write_str("remove cgroup")?;
                paths
                    .iter()
                    .try_for_each(|path| write!(f, " {}", path.display()))
            }
            Undo::ReleaseCgroup { lodgings } => {
                f.write_str("move processes back and remove cgroup")?;
                lodgings
                    .iter()
                    .try_for_each(|lodging| write!(f, " {}", lodging.group.display()))
            }
            Undo::Resume { process } => write!(f, "resume {process}"),
            Undo::Kill { process } => write!(f, "kill {process}"),
            Undo::KillMarked { mark } => write!(f, "kill every process marked {mark}"),
            Undo::DeleteQdisc { device, handle, .. } => {
                write!(f, "delete qdisc {handle} of link {device}")
            }
            Undo::DeleteFilters { device, preference } => {
                write!(f, "delete filters {preference} of link {device}")
            }
            Undo::DeleteClsact { device } => write!(f, "delete clsact of link {device}"),
            Undo::DeleteChain { chain } => write!(f, "delete packet filter {chain}"),
            Undo::DeleteTable { table, .. } => write!(f, "delete packet filter table {table}"),
            Undo::DeleteLink { name } => write!(f, "delete link {name}"),
            Undo::SwapOff { device, .. } => write!(f, "stop swapping to {}", device.display()),
            Undo::RemoveDelay { name } => write!(f, "remove delaying device {name}"),
            Undo::Unmount { path } => write!(f, "unmount {}", path.display()),
            Undo::RemoveDir { path } => write!(f, "remove directory {}", path.display()),
        }
    }
}
