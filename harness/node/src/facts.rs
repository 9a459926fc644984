//! What this node is and can do, found out without side effects: what has to be tried is tried in namespaces that end
//! with the try.

mod machine;
mod probe;

pub use machine::tick;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vocab::units::{Bytes, Span};

use crate::cgroup::Hierarchies;
use crate::devmapper;
use crate::identity::BootId;
use crate::procfs::{MachineMemory, MachinePressure};
use crate::tool::Program;

/// A node's means. Serializable, so that an agent can tell its controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The name of the machine.
    pub hostname: String,
    /// The kernel's release.
    pub kernel: String,
    /// The machine's architecture, as `x86_64`.
    pub arch: String,
    /// The distribution, by its own account.
    pub system: String,
    /// The processor's model.
    pub processor: String,
    /// This boot.
    pub boot: BootId,
    /// The effective user; 0 is root (perhaps only of a user namespace).
    pub euid: u32,
    /// Whether nodes can have namespaces (network, PID, mount) of their own.
    pub isolation: Isolation,
    /// The cgroup hierarchies within reach.
    pub cgroups: Hierarchies,
    /// Whether the kernel delays packets itself.
    pub netem: Answer,
    /// Whether the packet filter hands packets to a queue.
    pub nfqueue: Answer,
    /// Whether a file system of our own can be mounted (FUSE).
    pub fuse: Answer,
    /// Whether the kernel delays a disk's operations itself (dm-delay).
    pub dm_delay: Answer,
    /// The grain of the kernel's timers.
    pub tick: Span,
    /// Whether the kernel limits the rate of a link.
    pub tbf: Answer,
    /// Whether the packet filter can drop packets.
    pub packet_filter: Answer,
    /// Whether a program can stand behind a link of its own.
    pub tap: Answer,
    /// Whether files can be made disks.
    pub loop_devices: Answer,
    /// Whether a real-time priority may be taken, here where the facts are gathered.
    pub realtime: Answer,
    /// Programs that were found, and where.
    pub programs: Vec<(Program, PathBuf)>,
    /// Processors that this process may run on.
    pub cpus: u32,
    /// Memory of the machine.
    pub memory: Bytes,
    /// Swap space of the machine.
    pub swap: Bytes,
    /// Whether the kernel counts time spent waiting (PSI).
    pub pressure: bool,
}

impl Facts {
    /// Finds out. Takes some tens of milliseconds, for the few programs it runs.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn gather() -> std::io::Result<Facts> {
        let MachineMemory { total, swap, .. } = MachineMemory::read()?;
        let isolation = probe::isolation();
        Ok(Facts {
            hostname: machine::hostname(),
            kernel: machine::kernel(),
            arch: std::env::consts::ARCH.to_owned(),
            system: machine::system(),
            processor: machine::processor(),
            boot: BootId::current()?,
            euid: nix::unistd::geteuid().as_raw(),
            netem: probe::netem(&isolation),
            nfqueue: probe::nfqueue(&isolation),
            tbf: probe::tbf(&isolation),
            packet_filter: probe::packet_filter(&isolation),
            tap: probe::tap(),
            isolation,
            cgroups: Hierarchies::detect(),
            fuse: probe::fuse(),
            dm_delay: devmapper::available(),
            tick: tick(),
            loop_devices: probe::loop_devices(),
            realtime: probe::realtime(),
            programs: Program::ALL
                .into_iter()
                .filter_map(|program| Some((program, program.find()?)))
                .collect(),
            cpus: machine::cpus(),
            memory: total,
            swap,
            pressure: MachinePressure::read().is_present(),
        })
    }

    /// Whether this process is root, if perhaps only of a user namespace.
    pub fn is_root(&self) -> bool {
        self.euid == 0
    }

    /// Where a program is, if it is installed.
    pub fn program(&self, program: Program) -> Option<&PathBuf> {
        self.programs
            .iter()
            .find(|(name, _)| *name == program)
            .map(|(_, path)| path)
    }
}

/// Whether something can be done here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Yes.
    Yes,
    /// No, and why, with a remedy where there is one.
    No(String),
}

impl Answer {
    /// Whether it can be done.
    pub fn is_yes(&self) -> bool {
        matches!(self, Answer::Yes)
    }

    /// Why not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Answer::Yes => None,
            Answer::No(reason) => Some(reason),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Yes => f.write_str("yes"),
            Answer::No(reason) => write!(f, "no: {reason}"),
        }
    }
}

/// How nodes can be kept apart on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Namespaces of their own, by root.
    AsRoot,
    /// Namespaces within a user namespace.
    AsUser,
    /// Not at all; the reason.
    None(String),
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Isolation::AsRoot => f.write_str("namespaces"),
            Isolation::AsUser => f.write_str("namespaces within a user namespace"),
            Isolation::None(reason) => write!(f, "none: {reason}"),
        }
    }
}
