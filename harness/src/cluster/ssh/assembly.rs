use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use vocab::ids::NodeName;

use super::Ssh;
use super::host::Host;
use super::launch::{address, node_name, purposes};
use crate::causes::visible;
use crate::cluster::Rebuilt;
use crate::cluster::error::{ClusterError, NodeError};
use crate::cluster::local::{Mode, Progress};
use crate::cluster::node::{Node, Purpose};
use crate::cluster::roster::Roster;
use crate::cluster::spec::SshNode;

/// How often it is looked whether a lost machine is back, and its agent done.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Ssh {
    /// Reaches all machines at once, then starts all agents at once. When `stop` resolves, what is up or half made is undone.
    pub(in crate::cluster) async fn build(
        &mut self,
        progress: &mut impl FnMut(Progress),
        stop: impl Future<Output = ()>,
    ) -> Result<Roster, ClusterError> {
        let mut stop = pin!(stop);
        progress(Progress::Mode(Mode::Machines));
        let hosts = self.reach_all(progress, stop.as_mut()).await?;
        let addresses: Vec<IpAddr> = hosts.iter().filter_map(address).collect();
        let mut roster = Roster::default();
        let mut making = JoinSet::new();
        let (give_up, given_up) = watch::channel(false);
        for host in hosts {
            for purpose in purposes(&host.node) {
                if let Ok(disk) = self.disk(&host, purpose)
                    && let Some(device) = disk.formatted()
                {
                    progress(Progress::Formatting {
                        node: host.node.name.clone(),
                        device: device.to_owned(),
                    });
                }
                let addresses = addresses.clone();
                making.spawn(self.agent(host.clone(), purpose, addresses, given_up.clone()));
            }
        }
        let mut failed = Vec::new();
        // All are waited for, so that none is left half made.
        while !making.is_empty() {
            tokio::select! {
                biased;
                () = &mut stop, if !*given_up.borrow() => {
                    give_up.send_replace(true);
                }
                Some(made) = making.join_next() => match made.map_err(|error| broke_off(&error))? {
                    Ok((node, host, found)) => {
                        self.note(&node, &host, found);
                        progress(Progress::Up(node.name().clone()));
                        roster.add(node);
                    }
                    Err(ClusterError::Interrupted) => {}
                    Err(error) => failed.push(error),
                }
            }
        }
        let error = match all_of(failed) {
            Some(error) => error,
            None if *given_up.borrow() => ClusterError::Interrupted,
            None => return Ok(roster),
        };
        // What is up goes down again; the errors before are those to tell.
        let _also = roster.dismiss().await;
        Err(error)
    }

    /// Starts a new agent on the machine of a node whose agent was lost, once the old one has undone everything; waits for
    /// the machine as long as the file says, and until `stop` resolves: `None` then.
    pub(in crate::cluster) async fn rebuild(
        &mut self,
        name: &NodeName,
        purpose: Purpose,
        peers: Vec<IpAddr>,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<(Node, Rebuilt)>, ClusterError> {
        let of_name = |node: &&SshNode| {
            purposes(node).any(|purpose| node_name(node, purpose).is_ok_and(|known| known == *name))
        };
        let spec = self.spec.nodes.iter().find(of_name);
        let spec = spec.expect("a node of this cluster").clone();
        let deadline = Instant::now() + self.spec.rejoin_within.duration();
        let mut stop = pin!(stop);
        loop {
            let (unheard, _) = mpsc::unbounded_channel();
            let reached = tokio::select! {
                biased;
                () = &mut stop => return Ok(None),
                reached = self.reach(&spec, unheard) => reached,
            };
            let tried = match reached {
                Ok(host) => {
                    let (give_up, given_up) = watch::channel(false);
                    let mut making = pin!(self.agent(host, purpose, peers.clone(), given_up));
                    tokio::select! {
                        biased;
                        () = &mut stop => {
                            give_up.send_replace(true);
                            // What is half made is undone first.
                            let _given_up = making.await;
                            return Ok(None);
                        }
                        tried = &mut making => tried,
                    }
                }
                Err(error) => Err(error),
            };
            match tried {
                Ok((node, host, found)) => {
                    let before = self.given.get(node.name()).map(|given| &given.boot);
                    let rebuilt = match before == Some(&host.survey.boot) {
                        true => Rebuilt::Anew,
                        false => Rebuilt::AfterBoot,
                    };
                    self.note(&node, &host, found);
                    return Ok(Some((node, rebuilt)));
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(error) if passes(&error) => tokio::select! {
                    () = &mut stop => return Ok(None),
                    () = sleep(LOOK_AGAIN) => {}
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// An upload that is broken off leaves what has arrived, and the next one goes on from there.
    async fn reach_all(
        &self,
        progress: &mut impl FnMut(Progress),
        stop: impl Future<Output = ()>,
    ) -> Result<Vec<Host>, ClusterError> {
        let (news, mut heard) = mpsc::unbounded_channel();
        let mut reaching = JoinSet::new();
        for node in &self.spec.nodes {
            reaching.spawn(self.reach(node, news.clone()));
        }
        drop(news);
        let (mut hosts, mut failed) = (Vec::new(), Vec::new());
        let mut stop = pin!(stop);
        while !reaching.is_empty() {
            tokio::select! {
                biased;
                () = &mut stop => {
                    // Before the directory of their sockets goes.
                    reaching.shutdown().await;
                    return Err(ClusterError::Interrupted);
                }
                Some(step) = heard.recv() => progress(step),
                Some(reached) = reaching.join_next() => {
                    match reached.map_err(|error| broke_off(&error))? {
                        Ok(host) => hosts.push(host),
                        Err(error) => failed.push(error),
                    }
                }
            }
        }
        match all_of(failed) {
            Some(error) => Err(error),
            None => Ok(hosts),
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
                reason: visible(&reason),
            })
        }
    }
}

/// All that is wrong, at once.
fn all_of(mut failed: Vec<ClusterError>) -> Option<ClusterError> {
    if failed.len() < 2 {
        return failed.pop();
    }
    let mut said: Vec<String> = failed.iter().map(ToString::to_string).collect();
    said.sort();
    Some(ClusterError::Impossible(said.join("\n")))
}

/// Whether a machine may be back later all the same: its way there flaps, or it starts again.
fn passes(error: &ClusterError) -> bool {
    matches!(
        error,
        ClusterError::Start { .. }
            | ClusterError::Node(NodeError::Lost { .. } | NodeError::Slow { .. })
    )
}

fn broke_off(error: &tokio::task::JoinError) -> ClusterError {
    ClusterError::Impossible(format!("making a node broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(node: &str) -> ClusterError {
        ClusterError::Start {
            node: node.parse().unwrap(),
            reason: "no way".to_owned(),
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        assert!(all_of(Vec::new()).is_none());
        assert!(matches!(
            all_of(vec![start("s1")]),
            Some(ClusterError::Start { .. })
        ));
        let both = all_of(vec![start("s2"), start("s1")]).unwrap();
        assert_eq!(
            both.to_string(),
            "cannot start node s1: no way\ncannot start node s2: no way"
        );
    }

    #[test]
    fn a_way_that_flaps_is_waited_for() {
        let node: NodeName = "s1".parse().unwrap();
        let reason = "it ended".to_owned();
        let lost = NodeError::Lost {
            node: node.clone(),
            reason: reason.clone(),
        };
        let slow = NodeError::Slow {
            node: node.clone(),
            within: LOOK_AGAIN,
        };
        assert!(passes(&start("s1")) && passes(&lost.into()) && passes(&slow.into()));
        let refused = NodeError::Refused { node, reason };
        assert!(!passes(&refused.into()) && !passes(&ClusterError::Interrupted));
    }
}
