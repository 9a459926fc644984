//! Nodes made out of this machine.

mod assembly;
mod mode;
mod share;

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::sync::broadcast;
use vocab::ids::NodeName;

use super::UNREAD_EVENTS;
use super::environment;
use super::error::ClusterError;
use super::event::ClusterEvent;
use super::node::Node;
use super::roster::Roster;
use super::spec::LocalSpec;
use super::state::Settings;
use crate::agent::program_hash;
use crate::agent::wire::{Budget, Disk, Layer};

pub use mode::Mode;
use share::Shares;

/// A step on the way to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Nodes are to be kept apart in this way.
    Mode(Mode),
    /// It does not work here; the next one is tried.
    Failed {
        /// What was tried.
        mode: Mode,
        /// Why it does not work.
        reason: String,
    },
    /// This program is about to be brought to a machine.
    Bringing {
        /// The machine.
        node: NodeName,
        /// What an upload that broke off has left there, in bytes.
        there: u64,
        /// All of it, in bytes.
        total: u64,
    },
    /// This program is being brought to a machine.
    Upload {
        /// The machine.
        node: NodeName,
        /// What is there, in bytes.
        done: u64,
        /// All of it, in bytes.
        total: u64,
    },
    /// This program has been brought to a machine, whole.
    Brought(NodeName),
    /// A device of a machine is about to be formatted, unless something speaks against it.
    Formatting {
        /// The machine.
        node: NodeName,
        /// The device.
        device: PathBuf,
    },
    /// A node is up.
    Up(NodeName),
}

impl Progress {
    /// What of it is worth a line of its own: an upload takes minutes over a slow network, and so does a large device.
    pub fn line(&self) -> Option<String> {
        match self {
            Progress::Bringing {
                node,
                there: 0,
                total,
            } => Some(format!(
                "bringing depbench to {node}: {}",
                mebibytes(*total)
            )),
            Progress::Bringing { node, there, total } => Some(format!(
                "bringing depbench to {node}: {}, of which {} are there already",
                mebibytes(*total),
                mebibytes(*there)
            )),
            Progress::Brought(node) => Some(format!("depbench is on {node}")),
            Progress::Formatting { node, device } => Some(format!(
                "formatting {} on {node}: minutes, if it is large",
                device.display()
            )),
            Progress::Mode(_)
            | Progress::Failed { .. }
            | Progress::Upload { .. }
            | Progress::Up(_) => None,
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// What is needed to make nodes, again and again.
pub(super) struct Local {
    spec: LocalSpec,
    settings: Settings,
    program_hash: String,
    mode: Mode,
    shares: Shares,
    events: broadcast::Sender<ClusterEvent>,
    limitations: Vec<String>,
    given: BTreeMap<NodeName, Given>,
}

/// What a node was given.
struct Given {
    budget: Budget,
    disk: Disk,
    layer: Layer,
    cpus: Vec<u32>,
}

/// Makes the cluster in the first mode that works.
pub(super) async fn up(
    spec: &LocalSpec,
    settings: Settings,
    mut progress: impl FnMut(Progress),
) -> Result<(Local, Roster), ClusterError> {
    let program_hash = program_hash(&settings.program).map_err(|source| ClusterError::Program {
        path: settings.program.clone(),
        source,
    })?;
    let mut tried = Vec::new();
    for mode in Mode::candidates(spec.mode) {
        progress(Progress::Mode(mode));
        let mut local = Local {
            spec: spec.clone(),
            settings: settings.clone(),
            program_hash: program_hash.clone(),
            mode,
            shares: Shares::of(spec, mode).with_layer(settings.layer),
            events: broadcast::channel(UNREAD_EVENTS).0,
            limitations: mode.limitations(&tried),
            given: BTreeMap::new(),
        };
        match local.build(&mut progress).await {
            Ok(roster) => return Ok((local, roster)),
            Err(ClusterError::Start { node, reason }) => {
                let reason = format!("{node}: {reason}");
                progress(Progress::Failed {
                    mode,
                    reason: reason.clone(),
                });
                tried.push((mode, reason));
            }
            Err(error) => return Err(error),
        }
    }
    Err(ClusterError::NoMode {
        tried: tried
            .into_iter()
            .map(|(mode, reason)| (mode.to_string(), reason))
            .collect(),
    })
}

impl Local {
    pub(super) fn events(&self) -> broadcast::Receiver<ClusterEvent> {
        self.events.subscribe()
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn limitations(&self) -> &[String] {
        &self.limitations
    }

    pub(super) fn environment(&self, node: &Node) -> results::NodeEnvironment {
        let host = nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let Some(given) = self.given.get(node.name()) else {
            return environment::node(node, host, Disk::Shared, Layer::None);
        };
        let budget = match given.budget {
            Budget::Limited(cpus) => Some(format!(
                "{cpus} in periods of {}",
                node::cgroup::CpuQuota::BUDGET_PERIOD
            )),
            Budget::Unlimited | Budget::NoGroups => None,
        };
        results::NodeEnvironment {
            budget,
            pinned_to: given.cpus.clone(),
            ..environment::node(node, host, given.disk.clone(), given.layer)
        }
    }
}
