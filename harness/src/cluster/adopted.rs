use std::net::{IpAddr, Ipv4Addr};

use node::journal::Purpose as JournalPurpose;
use tokio::sync::broadcast;

use super::error::{ClusterError, NodeError};
use super::link::{self, Launch};
use super::node::{Identity, Node, Purpose};
use super::roster::Roster;
use super::state::Settings;
use crate::agent::{Isolation, Options, program_hash};

/// A process of this machine that was there before, with an agent of its own. When this is dropped, or its process
/// dies, the agent undoes what it did, gives the process back, and ends.
pub struct Adopted {
    node: Node,
    roster: Roster,
    limitations: Vec<String>,
}

impl Adopted {
    /// Starts an agent for the process with this number, which takes it into groups of its own if there are any.
    ///
    /// # Errors
    /// There is no such process, it belongs to a run of depbench, or the agent cannot be started.
    pub async fn take(pid: i32, settings: &Settings) -> Result<Adopted, ClusterError> {
        let name: vocab::ids::NodeName = format!("pid-{pid}")
            .parse()
            .map_err(|_| ClusterError::Impossible(format!("{pid} is no process number")))?;
        let hash = program_hash(&settings.program).map_err(|source| ClusterError::Program {
            path: settings.program.clone(),
            source,
        })?;
        let options = Options {
            purpose: JournalPurpose {
                run: settings.run.clone(),
                node: name.clone(),
            },
            journal: settings.state.journal(),
            dir: settings.state.node(&settings.run, &name),
            lease: settings.lease,
            isolation: Isolation::None,
        };
        let (events, _) = broadcast::channel(16);
        let launch = Launch::Here(settings.program.clone());
        let started = link::start(&launch, &hash, &options, events).await?;
        let identity = Identity {
            name: name.clone(),
            purpose: Purpose::Server,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            agent_pid: None,
            dir: options.dir,
            program: settings.program.clone(),
            ended: started.ended,
        };
        let node = Node::new(started.link, identity);
        let mut roster = Roster::default();
        roster.add(node.clone());
        match node.adopt(pid).await {
            Ok(prepared) => Ok(Adopted {
                node,
                roster,
                limitations: prepared.limitations,
            }),
            Err(error) => {
                // The first error is the one to tell.
                let _also = roster.dismiss().await;
                let reason = match error {
                    NodeError::Refused { reason, .. } => reason,
                    other => other.to_string(),
                };
                Err(ClusterError::Start { node: name, reason })
            }
        }
    }

    /// The process, as a node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What cannot be had here, in plain words.
    pub fn limitations(&self) -> &[String] {
        &self.limitations
    }

    /// Undoes everything and gives the process back.
    ///
    /// # Errors
    /// What could not be undone; `depbench heal` tries again.
    pub async fn give_back(mut self) -> Result<(), ClusterError> {
        self.roster.dismiss().await
    }
}
