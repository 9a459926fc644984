//! Cgroups of a node, version 1 and 2: the node's machine size, its server, contention and client groups, limits on
//! them, and what they used.
//!
//! A node has a **parent** group `depbench-<run>-<node>` that carries its CPU budget, and three children in which
//! processes live ([`Child`]): so a contention program hurts its own node only, and a node that is slowed down frees
//! nothing for the others. Every change is in the journal before it is made.

mod admission;
mod adopt;
mod build;
mod controller;
mod cpuset;
mod disk;
mod files;
mod hierarchy;
mod limit;
mod mount;
mod node;
mod quota;
mod remove;
mod stat;

use std::io;
use std::path::{Path, PathBuf};

pub use admission::Admission;
pub use adopt::Lodging;
pub use controller::Controller;
pub use cpuset::{CpuSet, CpuSetError};
pub use disk::{DiskLimit, DiskStat};
pub use hierarchy::{Hierarchies, Mode};
pub use limit::MemoryLimit;
pub use node::{Child, NodeCgroup, NodeSpec};
pub use quota::{CpuQuota, QuotaError};
pub use stat::{CgroupStat, Scope};

pub(crate) use adopt::release;
pub(crate) use remove::remove_tree;

use crate::identity::ProcessId;
use crate::journal::JournalError;

/// A cgroup could not be made, changed, or read.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A file of the kernel.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel has no such controller, or it is not within reach.
    #[error("this node has no {controller} controller within reach ({mode}): {remedy}")]
    NoController {
        /// What was asked for.
        controller: Controller,
        /// What there is.
        mode: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The limit lies below what is in use and the kernel refuses it.
    #[error(
        "cannot limit memory to {limit} bytes: {used} bytes are in use and the kernel (cgroup v1) could not reclaim them; choose a larger limit or set it earlier"
    )]
    InUse {
        /// The limit asked for.
        limit: u64,
        /// What is in use.
        used: u64,
    },
    /// A group has a quota already.
    #[error("{} has a CPU quota already, by another fault: clear that first, or use one fault with the smaller share", path.display())]
    Limited {
        /// The group.
        path: PathBuf,
    },
    /// A group that was made is not there any more.
    #[error("{} is gone: somebody else removed the node's group, and with it what limits its processes", path.display())]
    Removed {
        /// The group.
        path: PathBuf,
    },
    /// A process that is there already cannot be taken into a group.
    #[error("cannot take {process} into a group: {reason}")]
    NotAdopted {
        /// Which.
        process: ProcessId,
        /// Why not.
        reason: String,
    },
    /// The undo could not be written, so nothing was changed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl CgroupError {
    fn file(action: impl Into<String>, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
        let action = action.into();
        let path = path.to_owned();
        move |source| CgroupError::File {
            action,
            path,
            source,
        }
    }
}
