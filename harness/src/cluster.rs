//! The controller's side of a cluster: nodes, each reached through one agent.
//!
//! - [`spec`]: the `cluster:` part of the experiment file;
//! - [`Cluster`]: nodes that are up, until [`Cluster::down`] or until the controller ends, however it ends;
//! - [`Node`], [`Process`], [`Job`]: what can be done on a node;
//! - [`Sites`]: where faults on its nodes are carried out;
//! - [`Adopted`]: a process that was there before, as a node;
//! - `local`: the provider that makes nodes out of this machine;
//! - `ssh`: the provider whose nodes are machines that are reached over SSH;
//! - [`running`]: nodes of clusters that other controllers hold up, for the verbs `exec` and `logs`.

mod adopted;
mod clock;
pub(crate) mod environment;
mod error;
mod event;
mod link;
mod local;
mod node;
mod process;
mod roster;
pub mod running;
mod sites;
pub mod spec;
mod ssh;
mod state;

use std::fmt;
use std::future::pending;

use tokio::sync::broadcast;
use vocab::ids::NodeName;

pub use adopted::Adopted;
pub use clock::ClockOffset;
pub use error::{ClusterError, NodeError};
pub use event::{ClusterEvent, NodeEvent};
pub use local::{Mode, Progress};
pub use node::{Injected, Node, Purpose};
pub use process::{Job, Process};
pub use sites::Sites;
pub use ssh::{Healed, heal};
pub use state::{Settings, StateDir, run_of};

use local::Local;
use roster::Roster;
use spec::ClusterSpec;
use ssh::Ssh;

/// Events that a slow listener may leave unread.
const UNREAD_EVENTS: usize = 8192;

/// Nodes that are up. When it is dropped, or its process dies, every agent undoes what it did and ends.
pub struct Cluster {
    provider: Provider,
    roster: Roster,
}

/// What became of a node whose agent was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuilt {
    /// It has a new agent.
    Anew,
    /// It has a new agent, and its machine has started again in between.
    AfterBoot,
    /// It was not waited for any longer.
    NotAny,
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rebuilt::Anew => "it has a new agent",
            Rebuilt::AfterBoot => {
                "its machine has started again, and what does not survive that (mounts, loaded modules, settings) is \
                 as the boot left it"
            }
            Rebuilt::NotAny => "it was not waited for",
        })
    }
}

/// Where the nodes come from.
enum Provider {
    Local(Local),
    Ssh(Ssh),
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
        Cluster::up_unless(spec, settings, progress, pending()).await
    }

    /// The same, but gives up when `stop` resolves while machines are reached, brought this program and prepared. What is
    /// half made by then is undone.
    ///
    /// # Errors
    /// As above, or when it was given up.
    pub async fn up_unless(
        spec: &ClusterSpec,
        settings: Settings,
        progress: impl FnMut(Progress),
        stop: impl Future<Output = ()>,
    ) -> Result<Cluster, ClusterError> {
        Ok(match spec {
            ClusterSpec::Local(spec) => {
                let (local, roster) = local::up(spec, settings, progress).await?;
                Cluster {
                    provider: Provider::Local(local),
                    roster,
                }
            }
            ClusterSpec::Ssh(spec) => {
                let (ssh, roster) = ssh::up(spec, settings, progress, stop).await?;
                Cluster {
                    provider: Provider::Ssh(ssh),
                    roster,
                }
            }
        })
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
        match &self.provider {
            Provider::Local(local) => local.events(),
            Provider::Ssh(ssh) => ssh.events(),
        }
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
            Mode::Machines => faults::Wiring::Direct,
        }
    }

    /// The nodes to which control goes through this one, because it is their jump host or the controller's own machine.
    pub fn behind(&self, node: &Node) -> Vec<String> {
        match &self.provider {
            Provider::Local(_) => Vec::new(),
            Provider::Ssh(ssh) => ssh.behind(node),
        }
    }

    /// Whether network faults on a node can leave the way of control alone.
    pub fn knows_control(&self, node: &Node) -> bool {
        match &self.provider {
            // It does not go through a network.
            Provider::Local(_) => true,
            Provider::Ssh(ssh) => ssh.knows_control(node),
        }
    }

    /// How nodes are kept apart.
    pub fn mode(&self) -> Mode {
        match &self.provider {
            Provider::Local(local) => local.mode(),
            Provider::Ssh(_) => Mode::Machines,
        }
    }

    /// What could not be had here and bends the numbers, in plain words, for every figure.
    pub fn limitations(&self) -> &[String] {
        match &self.provider {
            Provider::Local(local) => local.limitations(),
            Provider::Ssh(ssh) => ssh.limitations(),
        }
    }

    /// The nodes' machines, as far as they are others than the controller's, for `environment.json`.
    pub fn machines(&self) -> Vec<results::Machine> {
        match &self.provider {
            Provider::Local(_) => Vec::new(),
            Provider::Ssh(ssh) => ssh.machines(),
        }
    }

    /// The nodes and what each was given, for `environment.json`.
    pub fn environment(&self) -> Vec<results::NodeEnvironment> {
        self.roster
            .all()
            .map(|node| match &self.provider {
                Provider::Local(local) => local.environment(node),
                Provider::Ssh(ssh) => ssh.environment(node),
            })
            .collect()
    }

    /// Finds out anew how far the clocks of other machines are from this one's: they drift.
    ///
    /// # Errors
    /// A lost node.
    pub async fn sync_clocks(&self) -> Result<(), NodeError> {
        if let Provider::Ssh(_) = self.provider {
            for node in self.roster.all() {
                node.sync_clock().await?;
            }
        }
        Ok(())
    }

    /// Makes a node anew whose agent was lost: new namespaces, groups, link, empty disk. Without its hub a cluster is no
    /// more, so a lost hub has all nodes made anew. Handles of the old node stay lost. A machine is waited for until `stop`
    /// resolves.
    ///
    /// # Errors
    /// When the old one cannot be cleared away or the new one cannot be made.
    pub async fn rebuild(
        &mut self,
        name: &NodeName,
        stop: impl Future<Output = ()>,
    ) -> Result<Rebuilt, ClusterError> {
        let purpose = self.node(name)?.purpose();
        let (node, rebuilt) = match (&mut self.provider, purpose) {
            (Provider::Local(local), Purpose::Hub) => {
                self.roster.dismiss().await?;
                self.roster = local.build(&mut |_| {}).await?;
                return Ok(Rebuilt::Anew);
            }
            (Provider::Local(local), _) => {
                self.roster.dismiss_one(name).await?;
                let hub = self.roster.of(Purpose::Hub).next();
                (local.rebuild(name, purpose, hub).await?, Rebuilt::Anew)
            }
            (Provider::Ssh(ssh), _) => {
                self.roster.dismiss_one(name).await?;
                let peers = self.roster.all().map(Node::address).collect();
                match ssh.rebuild(name, purpose, peers, stop).await? {
                    Some(back) => back,
                    None => return Ok(Rebuilt::NotAny),
                }
            }
        };
        self.roster.add(node);
        Ok(rebuilt)
    }

    /// Has every agent undo everything, and waits until the last trace is gone.
    ///
    /// # Errors
    /// What could not be undone; `depbench heal` tries again.
    pub async fn down(mut self) -> Result<(), ClusterError> {
        self.roster.dismiss().await
    }
}
