use std::net::IpAddr;
use std::path::Path;

use node::journal::Purpose as JournalPurpose;
use results::Machine;
use tokio::sync::watch;
use vocab::ids::NodeName;

use super::explain::with_remedy;
use super::host::Host;
use super::{Given, Ssh};
use crate::agent::wire::{Budget, Consent, Disk, Format, Layer, Prepare, Prepared};
use crate::agent::{Isolation, Named, Options};
use crate::causes::visible;
use crate::cluster::environment;
use crate::cluster::error::{ClusterError, NodeError};
use crate::cluster::link::{self, Launch};
use crate::cluster::node::{Identity, Node, Purpose};
use crate::cluster::roster::Roster;
use crate::cluster::spec::{DiskSpec, SshNode, SshRole};
use crate::cluster::state::StateDir;

/// What a new agent told.
pub(super) struct Found {
    machine: Machine,
    prepared: Prepared,
}

impl Ssh {
    /// Starts an agent and has it prepare its node; undoes that when it is given up.
    pub(super) fn agent(
        &self,
        host: Host,
        purpose: Purpose,
        addresses: Vec<IpAddr>,
        mut given_up: watch::Receiver<bool>,
    ) -> impl Future<Output = Result<(Node, Host, Found), ClusterError>> + Send + 'static {
        let (run, lease) = (self.settings.run.clone(), self.spec.lease);
        let events = self.events.clone();
        let disk = self.disk(&host, purpose);
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
                reason: with_remedy(&visible(&reason)),
            };
            let (name, disk) = (name.map_err(failed)?, disk.map_err(failed)?);
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
                    named: Named {
                        interface: host.node.interface.clone(),
                        device: host.node.device.clone(),
                    },
                },
            };
            let launch = Launch::There {
                session: host.session.clone(),
                command: host.command(),
            };
            let started = link::start(&launch, &host.hash, &options, events).await;
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
            let prepared = tokio::select! {
                biased;
                Ok(_) = given_up.wait_for(|given_up| *given_up) => Err(ClusterError::Interrupted),
                prepared = prepared => prepared.map_err(ClusterError::from),
            };
            match prepared {
                Ok(found) => Ok((made, host, found)),
                Err(error) => {
                    let mut alone = Roster::default();
                    alone.add(made);
                    // The first error is the one to tell.
                    let _also = alone.dismiss().await;
                    Err(error)
                }
            }
        }
    }

    /// Where the data of a node is to lie.
    pub(super) fn disk(&self, host: &Host, purpose: Purpose) -> Result<Disk, String> {
        if purpose != Purpose::Server {
            return Ok(Disk::Shared);
        }
        match (host.node.formatted(), self.spec.disk) {
            (Some(device), _) if host.privileged() => Ok(Disk::Device(Format {
                device: device.to_owned(),
                consent: match self.may_format(&host.node.name, device) {
                    true => Consent::Given,
                    false => Consent::Missing,
                },
            })),
            (Some(device), _) => Err(format!(
                "cannot format {} without root: log in as root, or let the account become it",
                device.display()
            )),
            (None, DiskSpec::Own(size)) if host.privileged() => Ok(Disk::Own(size)),
            (None, _) => Ok(Disk::Shared),
        }
    }

    /// Whether a person has said so.
    fn may_format(&self, node: &NodeName, device: &Path) -> bool {
        let mut confirmed = self.settings.format.iter();
        confirmed.any(|(of, named)| of == node && named == device)
    }

    /// Remembers what is known of a node, and what cannot be had on it.
    pub(super) fn note(&mut self, node: &Node, host: &Host, found: Found) {
        let prepared = found.prepared;
        let mut limitations = prepared.limitations;
        if !host.privileged() {
            limitations.push("without root: no limits of CPU, memory, disk or network".to_owned());
        }
        if let Some(device) = host.node.formatted()
            && !self.may_format(&host.node.name, device)
        {
            let (device, name) = (device.display(), &host.node.name);
            limitations.push(format!(
                "{device} may be formatted; `depbench run` does so with --yes-format {name}:{device}"
            ));
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
            boot: host.survey.boot.clone(),
            control: host.survey.control,
        };
        self.given.insert(node.name().clone(), given);
    }
}

/// Where the other nodes reach it.
pub(super) fn address(host: &Host) -> Option<IpAddr> {
    let connected = host.survey.control.map(|control| control.local.ip());
    host.node.data_address.or(connected)
}

pub(super) fn purposes(node: &SshNode) -> impl Iterator<Item = Purpose> {
    node.roles.iter().map(|role| match role {
        SshRole::Server => Purpose::Server,
        SshRole::Client => Purpose::Client,
    })
}

/// A machine with both roles has an agent for each.
pub(super) fn node_name(node: &SshNode, purpose: Purpose) -> Result<NodeName, String> {
    if node.roles.len() < 2 || purpose == Purpose::Server {
        return Ok(node.name.clone());
    }
    format!("{}-load", node.name)
        .parse()
        .map_err(|error| format!("{error}"))
}
