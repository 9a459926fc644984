//! Nodes that are machines of their own, reached with the user's own `ssh`.

mod assembly;
mod control;
mod explain;
mod host;
mod survey;
mod upload;

use std::collections::BTreeMap;

use tokio::sync::broadcast;
use vocab::ids::NodeName;

use super::UNREAD_EVENTS;
use super::error::ClusterError;
use super::event::ClusterEvent;
use super::local::Progress;
use super::node::Node;
use super::roster::Roster;
use super::spec::SshSpec;
use super::state::Settings;
use crate::agent::program_hash;
use crate::agent::wire::{Disk, Layer};
use control::ControlDir;

/// What is needed to reach machines, again and again.
pub(super) struct Ssh {
    spec: SshSpec,
    settings: Settings,
    program_hash: String,
    control: ControlDir,
    events: broadcast::Sender<ClusterEvent>,
    limitations: Vec<String>,
    given: BTreeMap<NodeName, Given>,
}

/// What is known of a node's machine.
struct Given {
    host: String,
    disk: Disk,
    layer: Layer,
}

/// Connects to all machines, brings this program to them, and starts an agent for each role.
pub(super) async fn up(
    spec: &SshSpec,
    settings: Settings,
    mut progress: impl FnMut(Progress),
) -> Result<(Ssh, Roster), ClusterError> {
    let program_hash = program_hash(&settings.program).map_err(|source| ClusterError::Program {
        path: settings.program.clone(),
        source,
    })?;
    let control = ControlDir::make().map_err(|error| {
        ClusterError::Impossible(format!("cannot make a directory for ssh sockets: {error}"))
    })?;
    let mut ssh = Ssh {
        spec: spec.clone(),
        settings,
        program_hash,
        control,
        events: broadcast::channel(UNREAD_EVENTS).0,
        limitations: Vec::new(),
        given: BTreeMap::new(),
    };
    let roster = ssh.build(&mut progress).await?;
    Ok((ssh, roster))
}

impl Ssh {
    pub(super) fn events(&self) -> broadcast::Receiver<ClusterEvent> {
        self.events.subscribe()
    }

    pub(super) fn limitations(&self) -> &[String] {
        &self.limitations
    }

    pub(super) fn environment(&self, node: &Node) -> results::NodeEnvironment {
        let given = self.given.get(node.name());
        let disk = match given.map(|given| given.disk) {
            Some(Disk::Own(size)) => {
                format!("own disk of {size}: ext4 on a loop device with direct I/O")
            }
            Some(Disk::Shared) | None => "a directory on the machine's disk".to_owned(),
        };
        let disk = match given.map(|given| given.layer) {
            Some(Layer::Latency) => format!("{disk}, under a FUSE layer for disk.latency"),
            Some(Layer::None) | None => disk,
        };
        results::NodeEnvironment {
            node: node.name().clone(),
            purpose: node.purpose().to_string(),
            host: given.map(|given| given.host.clone()).unwrap_or_default(),
            address: node.address().to_string(),
            budget: None,
            pinned_to: Vec::new(),
            disk,
        }
    }
}
