use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use vocab::ids::NodeName;

use super::error::{ClusterError, NodeError};
use super::node::{Node, Purpose};

/// How long an agent and its guardian may take to undo everything.
const UNDOING: Duration = Duration::from_secs(60);

/// The nodes of a cluster: servers, clients, hub, each in the order of their numbers.
#[derive(Default)]
pub(super) struct Roster(BTreeMap<Rank, Node>);

/// What orders nodes: `s2` before `s10`, servers before clients.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u8, usize, NodeName);

impl Rank {
    fn of(node: &Node) -> Rank {
        let purpose = match node.purpose() {
            Purpose::Server => 0,
            Purpose::Client => 1,
            Purpose::Hub => 2,
        };
        Rank(purpose, node.name().as_str().len(), node.name().clone())
    }
}

impl Roster {
    pub(super) fn add(&mut self, node: Node) {
        self.0.insert(Rank::of(&node), node);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Node> {
        self.0.values()
    }

    pub(super) fn of(&self, purpose: Purpose) -> impl Iterator<Item = &Node> {
        self.all().filter(move |node| node.purpose() == purpose)
    }

    pub(super) fn node(&self, name: &NodeName) -> Result<&Node, ClusterError> {
        self.all()
            .find(|node| node.name() == name)
            .ok_or_else(|| ClusterError::UnknownNode {
                name: name.clone(),
                known: self.all().map(|node| node.name().to_string()).collect(),
            })
    }

    /// Has all agents undo everything, the hub's last, and waits until they are gone.
    pub(super) async fn dismiss(&mut self) -> Result<(), ClusterError> {
        let (hubs, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_values()
            .partition(|node| node.purpose() == Purpose::Hub);
        let mut problems = dismiss(others).await;
        problems.extend(dismiss(hubs).await);
        settle(problems)
    }

    /// The same for one node.
    pub(super) async fn dismiss_one(&mut self, name: &NodeName) -> Result<(), ClusterError> {
        let rank = Rank::of(self.node(name)?);
        settle(dismiss(self.0.remove(&rank).into_iter().collect()).await)
    }
}

fn settle(problems: Vec<String>) -> Result<(), ClusterError> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ClusterError::Left { problems }),
    }
}

async fn dismiss(nodes: Vec<Node>) -> Vec<String> {
    let mut goodbyes = JoinSet::new();
    for node in nodes {
        goodbyes.spawn(async move {
            let mut problems = match node.lost() {
                // A lost one's guardian is at work already.
                Some(_) => Vec::new(),
                None => match node.goodbye().await {
                    Ok(problems) => problems,
                    Err(error @ NodeError::Lost { .. }) if node.agent_pid().is_none() => {
                        vec![format!(
                            "{error}; it undoes everything by itself when it hears nothing"
                        )]
                    }
                    Err(error) => vec![error.to_string()],
                },
            };
            if timeout(UNDOING, node.ended()).await.is_err() {
                problems.push(format!(
                    "node {}: still undoing after {UNDOING:?}",
                    node.name()
                ));
            }
            problems
        });
    }
    goodbyes.join_all().await.into_iter().flatten().collect()
}
