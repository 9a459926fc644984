//! The controller's side of a cluster: nodes, each reached through one agent.
//!
//! - [`spec`]: the `cluster:` part of the experiment file;
//! - [`Cluster`]: nodes that are up, until [`Cluster::down`] or until the controller ends, however it ends;
//! - [`Node`], [`Process`], [`Job`]: what can be done on a node;
//! - `local`: the provider that makes nodes out of this machine;
//! - [`running`]: nodes of clusters that other controllers hold up, for the verbs `exec` and `logs`.

mod error;
mod event;
mod link;
mod local;
mod node;
mod process;
mod roster;
pub mod running;
pub mod spec;
mod state;

use tokio::sync::broadcast;
use vocab::ids::NodeName;

pub use error::{ClusterError, NodeError};
pub use event::{ClusterEvent, NodeEvent};
pub use local::{Mode, Progress};
pub use node::{Injected, Node, Purpose};
pub use process::{Job, Process};
pub use state::{Settings, StateDir};

use local::Local;
use roster::Roster;
use spec::ClusterSpec;

/// Nodes that are up. When it is dropped, or its process dies, every agent undoes what it did and ends.
pub struct Cluster {
    provider: Local,
    roster: Roster,
}

impl Cluster {
    /// Makes the nodes; `progress` is told of each step.
    ///
    /// # Errors
    /// When this machine cannot carry such a cluster in any mode that the spec allows. Nothing is left behind then.
    pub async fn up(
        spec: &ClusterSpec,
        settings: Settings,
        progress: impl FnMut(Progress),
    ) -> Result<Cluster, ClusterError> {
        let ClusterSpec::Local(spec) = spec;
        let (provider, roster) = local::up(spec, settings, progress).await?;
        Ok(Cluster { provider, roster })
    }

    /// A node by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn node(&self, name: &NodeName) -> Result<&Node, ClusterError> {
        self.roster.node(name)
    }

    /// The nodes that run servers, in the order of their numbers.
    pub fn servers(&self) -> impl Iterator<Item = &Node> {
        self.roster.of(Purpose::Server)
    }

    /// The nodes that drive load, in the order of their numbers.
    pub fn clients(&self) -> impl Iterator<Item = &Node> {
        self.roster.of(Purpose::Client)
    }

    /// The router between the nodes, where network faults are injected; a cluster without namespaces has none.
    pub fn hub(&self) -> Option<&Node> {
        self.roster.of(Purpose::Hub).next()
    }

    /// Every node, the hub included.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.roster.all()
    }

    /// What happens on any node from now on. A listener that falls thousands of events behind loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<ClusterEvent> {
        self.provider.events()
    }

    /// What a node of this cluster can do: less than its machine can where nodes are not kept apart.
    ///
    /// # Errors
    /// A lost agent.
    pub async fn facts(&self, node: &Node) -> Result<::node::facts::Facts, NodeError> {
        Ok(self.mode().means(node.facts().await?))
    }

    /// How nodes are joined.
    pub fn wiring(&self) -> faults::Wiring {
        match self.mode() {
            Mode::Root | Mode::User => faults::Wiring::Hub,
            Mode::Plain => faults::Wiring::Shared,
        }
    }

    /// How nodes are kept apart.
    pub fn mode(&self) -> Mode {
        self.provider.mode()
    }

    /// What could not be had here and bends the numbers, in plain words, for every figure.
    pub fn limitations(&self) -> &[String] {
        self.provider.limitations()
    }

    /// The nodes and what each was given, for `environment.json`.
    pub fn environment(&self) -> Vec<results::NodeEnvironment> {
        self.roster
            .all()
            .map(|node| self.provider.environment(node))
            .collect()
    }

    /// Makes a node anew whose agent was lost: new namespaces, groups, link, empty disk. Without its hub a cluster is no
    /// more, so a lost hub has all nodes made anew. Handles of the old node stay lost.
    ///
    /// # Errors
    /// When the old one cannot be cleared away or the new one cannot be made.
    pub async fn rebuild(&mut self, name: &NodeName) -> Result<(), ClusterError> {
        let purpose = self.node(name)?.purpose();
        match purpose {
            Purpose::Hub => {
                self.roster.dismiss().await?;
                self.roster = self.provider.build(&mut |_| {}).await?;
            }
            Purpose::Server | Purpose::Client => {
                self.roster.dismiss_one(name).await?;
                let node = self
                    .provider
                    .rebuild(name, purpose, self.roster.of(Purpose::Hub).next())
                    .await?;
                self.roster.add(node);
            }
        }
        Ok(())
    }

    /// Has every agent undo everything, and waits until the last trace is gone.
    ///
    /// # Errors
    /// What could not be undone; `depbench heal` tries again.
    pub async fn down(mut self) -> Result<(), ClusterError> {
        self.roster.dismiss().await
    }
}
