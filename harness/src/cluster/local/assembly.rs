use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use node::journal::Purpose as JournalPurpose;
use node::procfs::ProcessTree;
use tokio::task::JoinSet;
use vocab::ids::{NodeName, RunName};

use super::{Given, Local, Mode, Progress};
use crate::agent::wire::{Prepare, Prepared};
use crate::agent::{Isolation, Options, Privilege, Uplink};
use crate::cluster::error::{ClusterError, NodeError};
use crate::cluster::event::ClusterEvent;
use crate::cluster::link::{self, Launch};
use crate::cluster::node::{Identity, Node, Purpose};
use crate::cluster::roster::Roster;
use crate::cluster::running;
use crate::cluster::spec::BudgetSpec;
use tokio::sync::broadcast;

/// Clients' networks are numbered from here.
const FIRST_CLIENT: u8 = 100;

/// Everything that making one node takes.
struct Order {
    options: Options,
    purpose: Purpose,
    address: IpAddr,
    prepare: Prepare,
    program: PathBuf,
    program_hash: String,
    events: broadcast::Sender<ClusterEvent>,
}

impl Local {
    /// Makes the hub, if there is to be one, and then all nodes at once.
    pub(in crate::cluster) async fn build(
        &mut self,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Roster, ClusterError> {
        let mut roster = Roster::default();
        match self.build_into(&mut roster, progress).await {
            Ok(()) => Ok(roster),
            Err(error) => {
                // What is up goes down again; the first error is the one to tell.
                let _also = roster.dismiss().await;
                Err(error)
            }
        }
    }

    /// Makes one node anew.
    pub(in crate::cluster) async fn rebuild(
        &mut self,
        name: &NodeName,
        purpose: Purpose,
        hub: Option<&Node>,
    ) -> Result<Node, ClusterError> {
        let number = name
            .as_str()
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap_or(1);
        let order = self.order(name.clone(), purpose, number, hub);
        let (node, prepared) = make(order).await?;
        self.note(&node, prepared)?;
        Ok(node)
    }

    async fn build_into(
        &mut self,
        roster: &mut Roster,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), ClusterError> {
        if self.mode != Mode::Plain {
            let (hub, prepared) = make(self.order(name("hub"), Purpose::Hub, 0, None)).await?;
            roster.add(hub.clone());
            self.note(&hub, prepared)?;
            progress(Progress::Up(hub.name().clone()));
        }
        let hub = roster.of(Purpose::Hub).next().cloned();
        let mut making = JoinSet::new();
        for (letter, purpose, count) in [
            ("s", Purpose::Server, self.spec.servers.get()),
            ("c", Purpose::Client, self.spec.clients.get()),
        ] {
            for number in 1..=count {
                let order = self.order(
                    name(&format!("{letter}{number}")),
                    purpose,
                    number,
                    hub.as_ref(),
                );
                making.spawn(make(order));
            }
        }
        let mut failed = None;
        // All are waited for, so that none is left half made.
        while let Some(made) = making.join_next().await {
            match made.map_err(|error| {
                ClusterError::Impossible(format!("making a node broke off: {error}"))
            })? {
                Ok((node, prepared)) => {
                    roster.add(node.clone());
                    self.note(&node, prepared)?;
                    progress(Progress::Up(node.name().clone()));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn order(&self, node: NodeName, purpose: Purpose, number: u8, hub: Option<&Node>) -> Order {
        let subnet = if purpose == Purpose::Client {
            FIRST_CLIENT.saturating_add(number)
        } else {
            number
        };
        let privilege = if self.mode == Mode::Root {
            Privilege::Root
        } else {
            Privilege::UserNamespace
        };
        let (isolation, address) = match (self.mode, hub) {
            (Mode::Plain, _) => (Isolation::None, loopback(&self.settings.run, subnet)),
            (_, None) => (Isolation::Hub(privilege), Ipv4Addr::LOCALHOST),
            (_, Some(hub)) => {
                let uplink = Uplink {
                    hub: hub.agent_pid().expect("a hub of this machine"),
                    subnet,
                };
                let address = uplink.node_address();
                (Isolation::Node { privilege, uplink }, address)
            }
        };
        let settings = &self.settings;
        Order {
            options: Options {
                dir: settings.state.node(&settings.run, &node),
                purpose: JournalPurpose {
                    run: settings.run.clone(),
                    node,
                },
                journal: settings.state.journal(),
                lease: settings.lease,
                isolation,
            },
            purpose,
            address: IpAddr::V4(address),
            prepare: self.shares.for_node(purpose),
            program: settings.program.clone(),
            program_hash: self.program_hash.clone(),
            events: self.events.clone(),
        }
    }

    /// Remembers what a node was given, and what not.
    fn note(&mut self, node: &Node, prepared: Prepared) -> Result<(), ClusterError> {
        let wished = self.shares.for_node(node.purpose());
        if let BudgetSpec::Each(cpus) = self.spec.budget
            && node.purpose() == Purpose::Server
            && prepared.budget != wished.budget
        {
            let why = prepared.limitations.join("; ");
            return Err(ClusterError::Impossible(format!(
                "`budget` asks for {cpus} for each server: {why}"
            )));
        }
        for limitation in prepared.limitations {
            let limitation = match node.purpose() {
                Purpose::Server => format!("servers: {limitation}"),
                Purpose::Client => format!("clients: {limitation}"),
                Purpose::Hub => format!("hub: {limitation}"),
            };
            if !self.limitations.contains(&limitation) {
                self.limitations.push(limitation);
            }
        }
        let given = Given {
            budget: prepared.budget,
            disk: prepared.disk,
            layer: prepared.layer,
            cpus: wished.cpus,
        };
        self.given.insert(node.name().clone(), given);
        Ok(())
    }
}

/// A loopback address for a plain process; runs at the same time on one machine most likely get different ones.
fn loopback(run: &RunName, subnet: u8) -> Ipv4Addr {
    let of_run = crc32fast::hash(run.as_str().as_bytes()) % 253 + 1;
    Ipv4Addr::new(127, of_run as u8, subnet, 1)
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a letter and a number are a name")
}

async fn make(order: Order) -> Result<(Node, Prepared), ClusterError> {
    let node = order.options.purpose.node.clone();
    let started = link::start(
        &Launch::Here(order.program.clone()),
        &order.program_hash,
        &order.options,
        order.events,
    )
    .await?;
    let failed = |reason: String| ClusterError::Start {
        node: node.clone(),
        reason,
    };
    let agent_pid = started
        .guardian
        .and_then(agent_of)
        .ok_or_else(|| failed("its agent ended at once".to_owned()))?;
    let dir = order.options.dir.clone();
    let identity = Identity {
        name: node.clone(),
        purpose: order.purpose,
        address: order.address,
        agent_pid: Some(agent_pid),
        dir,
        program: order.program.clone(),
        ended: started.ended,
    };
    let made = Node::new(started.link, identity);
    let prepared = match made.prepare(order.prepare).await {
        Ok(prepared) => running::announce(&order.options, &made)
            .map(|()| prepared)
            .map_err(|error| format!("cannot note that it is up: {error}")),
        Err(NodeError::Refused { reason, .. }) => Err(reason),
        Err(other) => Err(other.to_string()),
    };
    match prepared {
        Ok(prepared) => Ok((made, prepared)),
        Err(reason) => {
            let mut alone = Roster::default();
            alone.add(made);
            // The first error is the one to tell.
            let _also = alone.dismiss().await;
            Err(failed(reason))
        }
    }
}

/// The agent of a guardian, its only child.
fn agent_of(guardian: i32) -> Option<i32> {
    let tree = ProcessTree::under(guardian).ok()?;
    tree.processes.get(1).map(|sample| sample.process.pid)
}
