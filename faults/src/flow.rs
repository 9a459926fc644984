//! Which packets of a node a network fault is about.

mod rules;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

pub(crate) use rules::{Fate, Way};

/// The packets between a node and others that a network fault touches. Unless a fault says otherwise it touches what
/// the node sends, not what it receives.
///
/// ```
/// # use depbench_faults::{Flow, Peers};
/// // The link from a node to 10.0.0.3, and nothing else of what the node sends.
/// let link = Flow { peers: Peers::Only(vec!["10.0.0.3".parse().unwrap()]), ..Flow::default() };
/// // Everything but what goes to the clients.
/// let servers_only = Flow { exempt: vec!["10.0.0.9".parse().unwrap()], ..Flow::default() };
/// assert!(Flow::default().is_everything() && !link.is_everything() && !servers_only.is_everything());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Who is at the other end.
    #[serde(default)]
    pub peers: Peers,
    /// Hosts whose traffic with the node is left alone, such as clients.
    #[serde(default)]
    pub exempt: Vec<IpAddr>,
    /// The way that control travels on, left alone whatever else is said: these connections, and all others from the same
    /// host to the same port, so that a new one comes through to undo what the end of this one left.
    #[serde(default)]
    pub control: Vec<Connection>,
}

/// The hosts at the other end of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peers {
    /// Whoever it is.
    #[default]
    Everyone,
    /// These, and nobody else.
    Only(Vec<IpAddr>),
}

/// A TCP connection as the node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// The node's own end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

impl Flow {
    /// Whether it takes in all there is, so that nothing has to be told apart.
    pub fn is_everything(&self) -> bool {
        self.peers == Peers::Everyone && self.exempt.is_empty() && self.control.is_empty()
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peers {
            Peers::Everyone => f.write_str("everyone")?,
            Peers::Only(peers) => f.write_str(&list(peers))?,
        }
        if !self.exempt.is_empty() {
            write!(f, " but {}", list(&self.exempt))?;
        }
        Ok(())
    }
}

fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
