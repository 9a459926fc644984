use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use faults::{FaultType, Flow, LatencyWish};
use results::ProbeMoment;
use serde::{Deserialize, Serialize};
use targets::{Status, StatusError, TargetSpec, Waits};
use vocab::ids::{FaultName, NodeName};
use vocab::time::Monotonic;
use vocab::units::{Bytes, Span};

use crate::cluster::spec::Cpus;

/// A process that the agent started, by a number that it never gives out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub u32);

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process #{}", self.0)
    }
}

/// What a controller can ask of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// What this node is and can do.
    Facts,
    /// What its monotonic clock says.
    Clock,
    /// Make the node's machine: budget, groups, disk. Once, before anything is started.
    Prepare(Prepare),
    /// Instead of [`Request::Prepare`]: take a process that is there already as this node's server. Only for an agent
    /// that is not kept apart from its machine.
    Adopt {
        /// Its number.
        pid: i32,
    },
    /// Write the payload into a file at `offset`; offset 0 creates or empties it.
    PutFile {
        /// On the node; missing directories above it are made.
        path: PathBuf,
        /// In bytes.
        offset: u64,
        /// Permissions of a new file.
        mode: u32,
    },
    /// Read one payload of a file from `offset`.
    GetFile {
        /// On the node.
        path: PathBuf,
        /// In bytes.
        offset: u64,
    },
    /// Name what is in a directory.
    ListDir {
        /// On the node.
        path: PathBuf,
    },
    /// Start a process; with [`Output::Stream`] the payload is its standard input.
    Spawn(Spawn),
    /// Signal a process and all of its group.
    Signal {
        /// The process.
        process: ProcessId,
        /// The signal's number.
        signal: i32,
    },
    /// Ask a member of a target for its account of itself, from this node.
    Poll {
        /// The system.
        target: TargetSpec,
        /// Where the member serves clients.
        address: SocketAddr,
        /// How long to wait.
        within: Span,
    },
    /// Ask a member that is built on DepFast for its waits and alerts, from this node.
    Waits {
        /// Where the member serves clients.
        address: SocketAddr,
        /// How long to wait.
        within: Span,
    },
    /// Make a node slow.
    Inject {
        /// Which, and how.
        order: FaultOrder,
        /// The agent clears it itself after this time.
        lease: Span,
    },
    /// Measure whether a fault bites.
    Probe {
        /// A fault that is injected, will be, or was.
        order: FaultOrder,
        /// Before, during or after it.
        moment: ProbeMoment,
    },
    /// Undo a fault.
    Clear {
        /// The fault.
        order: FaultOrder,
    },
    /// Report usage at this interval from now on, as [`super::Event::Sample`].
    Sample {
        /// From sample to sample.
        every: Span,
    },
    /// Empty the data directory. Servers must have ended.
    Wipe,
    /// Undo everything, stop every process, answer, and end.
    Goodbye,
}

/// What an agent answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Response {
    /// It is done.
    Done,
    /// To [`Request::Facts`].
    Facts(Box<node::facts::Facts>),
    /// To [`Request::Clock`].
    Clock(Monotonic),
    /// To [`Request::Prepare`].
    Prepared(Prepared),
    /// To [`Request::GetFile`]; the payload holds the bytes, fewer than a whole payload at the end.
    Chunk,
    /// To [`Request::ListDir`].
    Entries(Vec<DirEntry>),
    /// To [`Request::Spawn`].
    Spawned {
        /// For later requests.
        process: ProcessId,
        /// Its number as processes of the node see it.
        pid: i32,
    },
    /// To [`Request::Poll`].
    Polled(Result<Status, StatusError>),
    /// To [`Request::Waits`].
    Waits(Result<Waits, StatusError>),
    /// To [`Request::Inject`].
    Injected {
        /// When the agent began.
        commanded: Monotonic,
        /// When the fault was in force.
        effective: Monotonic,
        /// By which means, and what was set in absolute values.
        detail: String,
    },
    /// To [`Request::Probe`].
    Readings(Vec<faults::Reading>),
    /// To [`Request::Goodbye`]: what could not be undone, in plain words; the guardian tries again.
    Goodbye(Vec<String>),
}

/// The machine that a node stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepare {
    /// How much CPU its servers and contention programs have together.
    pub budget: Budget,
    /// The CPUs they may use; empty means all.
    pub cpus: Vec<u32>,
    /// Where its data lies.
    pub disk: Disk,
    /// What lies over its data.
    pub layer: Layer,
}

/// A device on which a file system is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// The device; all that is on it is lost.
    pub device: PathBuf,
    /// Whether it may be done.
    pub consent: Consent,
}

/// Whether a device may be formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consent {
    /// A person has named this device.
    Given,
    /// It is only looked whether something speaks against it.
    Missing,
}

/// What lies over a node's data, from before its servers start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Layer {
    /// Nothing.
    #[default]
    None,
    /// What `disk.latency` can slow down.
    Latency(LatencyWish),
}

/// A node's CPU budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Budget {
    /// No groups at all: they would need root.
    NoGroups,
    /// Groups without a limit: usage is accounted for.
    Unlimited,
    /// Groups under a parent with this quota.
    Limited(Cpus),
}

/// Where a node's data lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disk {
    /// A directory.
    Shared,
    /// A disk of its own of this size.
    Own(Bytes),
    /// A device of the machine, formatted for it.
    Device(Format),
}

impl Disk {
    /// The device on which a file system is made.
    pub fn formatted(&self) -> Option<&Path> {
        match self {
            Disk::Device(Format {
                device,
                consent: Consent::Given,
            }) => Some(device),
            Disk::Device(_) | Disk::Own(_) | Disk::Shared => None,
        }
    }
}

/// What became of [`Prepare`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// An empty directory on the node's disk.
    pub data: PathBuf,
    /// Where logs of processes lie.
    pub logs: PathBuf,
    /// The budget in force.
    pub budget: Budget,
    /// The disk in force.
    pub disk: Disk,
    /// The layer in force.
    pub layer: Layer,
    /// What was wished for and is not possible here, in plain words.
    pub limitations: Vec<String>,
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    /// Names its log files: `<name>.out`, `<name>.err`.
    pub name: String,
    /// Program and arguments; no shell sees them.
    pub argv: Vec<String>,
    /// Added to the agent's environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts; the data directory when absent.
    pub cwd: Option<PathBuf>,
    /// The group it runs in.
    pub place: Place,
    /// Where its standard output goes.
    pub output: Output,
    /// The CPUs it may use; empty means those of its place.
    pub cpus: Vec<u32>,
}

/// The group that a process runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The member under test: what faults hit.
    Server,
    /// The load generator.
    Client,
    /// A program that competes with the server.
    Contention,
    /// Outside every group, like the agent.
    Outside,
}

/// Where a process's standard output goes; standard error always goes to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// To its log.
    Log,
    /// To the controller, as [`super::Event::Output`].
    Stream,
}

/// A fault that a site is to carry out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultOrder {
    /// Names it on this site until it is cleared.
    pub fault: FaultName,
    /// What to do.
    pub kind: FaultType,
    /// The node that is to be slow; on the hub another one than the site itself.
    pub victim: NodeName,
    /// The address of that node.
    pub address: IpAddr,
    /// Which of its packets a network fault is about.
    #[serde(default)]
    pub flow: Flow,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirEntry {
    /// Its name, not its path.
    pub name: String,
    /// In bytes; `None` for what is not a regular file.
    pub bytes: Option<u64>,
}
