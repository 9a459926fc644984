use std::net::IpAddr;
use std::time::Duration;

use node::journal::Purpose as JournalPurpose;
use results::Machine;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use vocab::ids::NodeName;

use super::explain::with_remedy;
use super::host::Host;
use super::{Given, Ssh};
use crate::agent::wire::{Budget, Disk, Layer, Prepare, Prepared};
use crate::agent::{Isolation, Options};
use crate::cluster::environment;
use crate::cluster::error::{ClusterError, NodeError};
use crate::cluster::link::{self, Launch};
use crate::cluster::local::{Mode, Progress};
use crate::cluster::node::{Identity, Node, Purpose};
use crate::cluster::roster::Roster;
use crate::cluster::spec::{DiskSpec, SshNode, SshRole};
use crate::cluster::state::StateDir;

/// How long an agent whose controller is gone may take to undo everything, beyond its lease.
const UNDOING: Duration = Duration::from_secs(60);

/// How often it is looked whether it is done.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a new agent told.
struct Found {
    machine: Machine,
    prepared: Prepared,
}

impl Ssh {
    /// Reaches all machines at once, then starts all agents at once.
    pub(in crate::cluster) async fn build(
        &mut self,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Roster, ClusterError> {
        progress(Progress::Mode(Mode::Machines));
        let hosts = self.reach_all(progress).await?;
        let addresses: Vec<IpAddr> = hosts.iter().filter_map(address).collect();
        let mut roster = Roster::default();
        let mut making = JoinSet::new();
        for host in hosts {
            for purpose in purposes(&host.node) {
                making.spawn(self.agent(host.clone(), purpose, addresses.clone()));
            }
        }
        let mut failed = None;
        // All are waited for, so that none is left half made.
        while let Some(made) = making.join_next().await {
            match made.map_err(|error| broke_off(&error))? {
                Ok((node, host, found)) => {
                    self.note(&node, &host, found);
                    progress(Progress::Up(node.name().clone()));
                    roster.add(node);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let Some(error) = failed else {
            return Ok(roster);
        };
        // What is up goes down again; the first error is the one to tell.
        let _also = roster.dismiss().await;
        Err(error)
    }

    /// Starts a new agent on the machine of a node whose agent was lost, once the old one has undone everything.
    pub(in crate::cluster) async fn rebuild(
        &mut self,
        name: &NodeName,
        purpose: Purpose,
        peers: Vec<IpAddr>,
    ) -> Result<Node, ClusterError> {
        let of_name = |node: &&SshNode| {
            purposes(node).any(|purpose| node_name(node, purpose).is_ok_and(|known| known == *name))
        };
        let spec = self.spec.nodes.iter().find(of_name);
        let spec = spec.expect("a node of this cluster").clone();
        let deadline = Instant::now() + self.settings.lease.duration() + UNDOING;
        loop {
            let (unheard, _) = mpsc::unbounded_channel();
            let tried = match self.reach(&spec, unheard).await {
                Ok(host) => self.agent(host, purpose, peers.clone()).await,
                Err(error) => Err(error),
            };
            match tried {
                Ok((node, host, found)) => {
                    self.note(&node, &host, found);
                    return Ok(node);
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(ClusterError::Start { .. }) => sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn reach_all(
        &self,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Vec<Host>, ClusterError> {
        let (news, mut heard) = mpsc::unbounded_channel();
        let mut reaching = JoinSet::new();
        for node in &self.spec.nodes {
            reaching.spawn(self.reach(node, news.clone()));
        }
        drop(news);
        let (mut hosts, mut failed) = (Vec::new(), Vec::new());
        while !reaching.is_empty() {
            tokio::select! {
                Some(step) = heard.recv() => progress(step),
                Some(reached) = reaching.join_next() => {
                    match reached.map_err(|error| broke_off(&error))? {
                        Ok(host) => hosts.push(host),
                        Err(error) => failed.push(error),
                    }
                }
            }
        }
        match failed.len() {
            0 => Ok(hosts),
            1 => Err(failed.remove(0)),
            // All that is wrong, at once.
            _ => Err(ClusterError::Impossible(
                failed
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n"),
            )),
        }
    }

    fn reach(
        &self,
        node: &SshNode,
        news: UnboundedSender<Progress>,
    ) -> impl Future<Output = Result<Host, ClusterError>> + Send + 'static {
        let (spec, node) = (self.spec.clone(), node.clone());
        let control = self.control.path().to_owned();
        let cargo = self.cargo.clone();
        async move {
            let reached = Host::reach(&spec, &node, &control, &cargo, news).await;
            reached.map_err(|reason| ClusterError::Start {
                node: node.name,
                reason,
            })
        }
    }

    /// Starts an agent and has it prepare its node.
    fn agent(
        &self,
        host: Host,
        purpose: Purpose,
        addresses: Vec<IpAddr>,
    ) -> impl Future<Output = Result<(Node, Host, Found), ClusterError>> + Send + 'static {
        let (run, lease) = (self.settings.run.clone(), self.settings.lease);
        let (hash, events) = (self.cargo.hash.clone(), self.events.clone());
        let disk = match (self.spec.disk, purpose) {
            (DiskSpec::Own(size), Purpose::Server) if host.privileged() => Disk::Own(size),
            _ => Disk::Shared,
        };
        let layer = match purpose {
            Purpose::Server => self.settings.layer,
            Purpose::Client | Purpose::Hub => Layer::None,
        };
        let budget = match host.privileged() {
            true => Budget::Unlimited,
            false => Budget::NoGroups,
        };
        async move {
            let name = node_name(&host.node, purpose);
            let failed = |reason: String| ClusterError::Start {
                node: host.node.name.clone(),
                reason: with_remedy(reason),
            };
            let name = name.map_err(failed)?;
            let own = address(&host).ok_or_else(|| {
                failed("sshd does not tell its address: give `data_address`".to_owned())
            })?;
            let state = StateDir::at(host.state_dir().as_ref())
                .map_err(|error| failed(error.to_string()))?;
            let options = Options {
                dir: state.node(&run, &name),
                purpose: JournalPurpose {
                    run,
                    node: name.clone(),
                },
                journal: state.journal(),
                lease,
                isolation: Isolation::Machine {
                    privileged: host.privileged(),
                    control: host.survey.control,
                    peers: addresses.into_iter().filter(|peer| *peer != own).collect(),
                },
            };
            let launch = Launch::There {
                session: host.session.clone(),
                command: host.command(),
            };
            let started = link::start(&launch, &hash, &options, events).await;
            let started = started.map_err(|error| match error {
                ClusterError::Start { reason, .. } => failed(reason),
                other => other,
            })?;
            let identity = Identity {
                name,
                purpose,
                address: own,
                agent_pid: None,
                dir: options.dir,
                program: host.program.clone().into(),
                ended: started.ended,
            };
            let made = Node::new(started.link, identity);
            let prepare = Prepare {
                budget,
                cpus: Vec::new(),
                disk,
                layer,
            };
            let prepared = async {
                made.sync_clock().await?;
                // First, because what it has groups for belongs to the facts.
                let prepared = made.prepare(prepare).await?;
                let machine = environment::machine(made.facts().await?);
                Ok::<_, NodeError>(Found { machine, prepared })
            };
            match prepared.await {
                Ok(found) => Ok((made, host, found)),
                Err(error) => {
                    let mut alone = Roster::default();
                    alone.add(made);
                    // The first error is the one to tell.
                    let _also = alone.dismiss().await;
                    Err(error.into())
                }
            }
        }
    }

    /// Remembers what is known of a node, and what cannot be had on it.
    fn note(&mut self, node: &Node, host: &Host, found: Found) {
        let prepared = found.prepared;
        let mut limitations = prepared.limitations;
        if !host.privileged() {
            limitations.push("without root: no limits of CPU, memory, disk or network".to_owned());
        }
        if purposes(&host.node).count() > 1 {
            limitations.push(
                "runs a server and drives load: the load competes with what is measured".to_owned(),
            );
        }
        for limitation in limitations {
            let limitation = format!("{}: {limitation}", host.node.name);
            if !self.limitations.contains(&limitation) {
                self.limitations.push(limitation);
            }
        }
        let given = Given {
            machine: found.machine,
            disk: prepared.disk,
            layer: prepared.layer,
        };
        self.given.insert(node.name().clone(), given);
    }
}

fn broke_off(error: &tokio::task::JoinError) -> ClusterError {
    ClusterError::Impossible(format!("making a node broke off: {error}"))
}

/// Where the other nodes reach it.
fn address(host: &Host) -> Option<IpAddr> {
    let connected = host.survey.control.map(|control| control.local.ip());
    host.node.data_address.or(connected)
}

fn purposes(node: &SshNode) -> impl Iterator<Item = Purpose> {
    node.roles.iter().map(|role| match role {
        SshRole::Server => Purpose::Server,
        SshRole::Client => Purpose::Client,
    })
}

/// A machine with both roles has an agent for each.
fn node_name(node: &SshNode, purpose: Purpose) -> Result<NodeName, String> {
    if node.roles.len() < 2 || purpose == Purpose::Server {
        return Ok(node.name.clone());
    }
    format!("{}-load", node.name)
        .parse()
        .map_err(|error| format!("{error}"))
}
