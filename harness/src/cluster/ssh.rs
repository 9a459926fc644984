//! Nodes that are machines of their own, reached with the user's own `ssh`.

mod assembly;
mod cargo;
mod control;
mod deadline;
mod explain;
mod heal;
mod host;
mod launch;
mod survey;
mod upload;

use std::collections::BTreeMap;

use faults::Connection;
use results::{Machine, NodeEnvironment};
use tokio::sync::broadcast;
use vocab::ids::NodeName;

use super::UNREAD_EVENTS;
use super::environment;
use super::error::ClusterError;
use super::event::ClusterEvent;
use super::local::Progress;
use super::node::Node;
use super::roster::Roster;
use super::spec::SshSpec;
use super::state::Settings;
use crate::agent::wire::{Disk, Layer};
use cargo::Cargo;
use control::ControlDir;

pub use heal::{Healed, heal};

/// What is needed to reach machines, again and again.
pub(super) struct Ssh {
    spec: SshSpec,
    settings: Settings,
    cargo: Cargo,
    control: ControlDir,
    events: broadcast::Sender<ClusterEvent>,
    limitations: Vec<String>,
    given: BTreeMap<NodeName, Given>,
}

/// What is known of a node's machine.
struct Given {
    machine: Machine,
    disk: Disk,
    layer: Layer,
    /// Tells the boots of the machine apart.
    boot: String,
    /// The connection that control travels on.
    control: Option<Connection>,
}

/// Connects to all machines, brings this program to them, and starts an agent for each role.
pub(super) async fn up(
    spec: &SshSpec,
    settings: Settings,
    mut progress: impl FnMut(Progress),
    stop: impl Future<Output = ()>,
) -> Result<(Ssh, Roster), ClusterError> {
    let cargo = Cargo::of(&settings.program, &spec.programs)?;
    let control = ControlDir::for_sockets()?;
    let mut ssh = Ssh {
        spec: spec.clone(),
        settings,
        cargo,
        control,
        events: broadcast::channel(UNREAD_EVENTS).0,
        limitations: Vec::new(),
        given: BTreeMap::new(),
    };
    let roster = ssh.build(&mut progress, stop).await?;
    Ok((ssh, roster))
}

impl Ssh {
    pub(super) fn events(&self) -> broadcast::Receiver<ClusterEvent> {
        self.events.subscribe()
    }

    pub(super) fn limitations(&self) -> &[String] {
        &self.limitations
    }

    /// The machines of the nodes, each once.
    pub(super) fn machines(&self) -> Vec<Machine> {
        let mut machines: Vec<Machine> = Vec::new();
        for given in self.given.values() {
            if !machines.contains(&given.machine) {
                machines.push(given.machine.clone());
            }
        }
        machines
    }

    /// Whether it is known which connection of a node network faults must leave alone.
    pub(super) fn knows_control(&self, node: &Node) -> bool {
        self.given[node.name()].control.is_some()
    }

    /// The nodes whose connection of control comes from a machine.
    pub(super) fn behind(&self, node: &Node) -> Vec<String> {
        let own = self.given[node.name()].control;
        let own = own.map(|connection| connection.local.ip());
        let is_own = |address| Some(address) == own || address == node.address();
        let others = self.given.iter().filter(|(name, given)| {
            let comes_from = given.control.map(|connection| connection.remote.ip());
            *name != node.name() && comes_from.is_some_and(is_own)
        });
        others.map(|(name, _)| name.to_string()).collect()
    }

    pub(super) fn environment(&self, node: &Node) -> NodeEnvironment {
        let given = &self.given[node.name()];
        NodeEnvironment {
            clock: Some(node.clock().into()),
            ..environment::node(
                node,
                given.machine.host.clone(),
                given.disk.clone(),
                given.layer,
            )
        }
    }
}
