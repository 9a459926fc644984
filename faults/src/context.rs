use std::net::IpAddr;
use std::path::PathBuf;

use node::blockdev::WholeDisk;
use node::cgroup::{CpuQuota, NodeCgroup};
use node::facts::Facts;
use node::identity::ProcessId;
use node::journal::Journal;
use node::links::LinkName;

use crate::error::FaultError;
use crate::flow::Flow;
use crate::keeper::Keeper;
use crate::latency::Latency;
use crate::process::HelperProgram;
use crate::servers::Servers;
use crate::site::Wiring;

/// What a fault needs to know of the place where it is carried out.
#[derive(Debug, Clone)]
pub struct FaultContext {
    /// Where undos are noted.
    pub journal: Journal,
    /// The means of the injection site.
    pub facts: Facts,
    /// The node's groups; `None` when it has none.
    pub cgroup: Option<NodeCgroup>,
    /// The server processes that the agent started, numbered as this process sees them; what they fork is found.
    pub servers: Vec<ProcessId>,
    /// A directory on the disk that the servers' data lies on; `None` when that is not known.
    pub disk: Option<PathBuf>,
    /// The device of that disk, where it is not to be found out from the directory.
    pub device: Option<PathBuf>,
    /// What delays the operations on the servers' data; `None` when there is nothing.
    pub latency: Option<Latency>,
    /// The link that a network fault is about; `None` when there is none.
    pub link: Option<FaultLink>,
    /// Which packets of that link.
    pub flow: Flow,
    /// How the nodes are joined.
    pub wiring: Wiring,
    /// Who can start servers again; `None` when nobody can.
    pub keeper: Option<Keeper>,
    /// How helpers are started.
    pub helper: HelperProgram,
}

/// The link of a node, seen from where the fault is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultLink {
    /// On the node: its own link. On the hub: the hub's end of the node's link.
    pub device: LinkName,
    /// The address at the other end, to which the round trip is measured: on the node the hub's, on the hub the node's.
    pub peer: IpAddr,
}

/// The disk of a node.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) whole: WholeDisk,
    /// Where files can be made on it.
    pub(crate) dir: PathBuf,
}

impl FaultContext {
    /// The node's machine size in CPUs: its budget, else all CPUs it may use.
    pub fn machine_cpus(&self) -> f64 {
        let budget = self.cgroup.as_ref().and_then(NodeCgroup::budget);
        budget.map_or(f64::from(self.facts.cpus), CpuQuota::cpus)
    }

    pub(crate) fn servers(&self, fault: &'static str) -> Servers {
        Servers::new(fault, &self.servers, self.cgroup.as_ref())
    }

    pub(crate) fn disk(&self, fault: &'static str) -> Result<Disk, FaultError> {
        let unavailable = |reason| FaultError::Unavailable { fault, reason };
        let dir = self
            .disk
            .clone()
            .ok_or_else(|| unavailable("the node's disk is not known".to_owned()))?;
        let whole = match &self.device {
            Some(device) => WholeDisk::named(device),
            None => WholeDisk::under(&dir),
        };
        let whole = whole.map_err(|error| unavailable(error.to_string()))?;
        Ok(Disk { whole, dir })
    }

    pub(crate) fn link(&self, fault: &'static str) -> Result<FaultLink, FaultError> {
        self.link.clone().ok_or_else(|| FaultError::Unavailable {
            fault,
            reason: "the node has no link of its own (plain processes share the loopback)"
                .to_owned(),
        })
    }
}
