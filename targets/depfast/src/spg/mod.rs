//! The slowness propagation graph: who waits for whom in a running system.
//!
//! Each node exports what it has waited for ([`Trace::export`](crate::trace::Trace::export)); the graphs of all nodes,
//! of one group or several, merge into one. An edge says that its origin waits for its end. It is **red** if the origin
//! cannot go on without that one node, so that slowness spreads along it, and **green** if enough others may answer
//! instead. Its label `k/n` says how many of how many are needed. A group that tolerates slow nodes has no red edge.
//!
//! ```
//! use depfast::spg::{Color, Edge, Graph};
//!
//! let mut graph = Graph::default();
//! for shard in ["a", "b"] {
//!     let exported = format!(r#"{{"nodes": [], "edges": [
//!         {{"group": "{shard}", "from": "n1", "to": "n2", "needed": 2, "total": 3,
//!           "waits": [{{"label": "replication", "on": "quorum 2/3", "count": 7, "seconds": 0.01, "longest": 0.002}}]}}
//!     ]}}"#);
//!     graph.merge(&Graph::from_json(&exported).unwrap());
//! }
//! // The harness adds those who are not nodes themselves.
//! graph.add_wait("a", "client 1", "n1", 1, 1, "GET");
//! assert!(graph.edges.iter().all(|edge| edge.label() == "2/3" || edge.color() == Color::Red));
//! assert_eq!(graph.red().map(|edge| edge.from.as_str()).collect::<Vec<_>>(), ["client 1"]);
//! assert!(graph.to_dot().contains(r#""a/client 1" -> "a/n1" [color=red"#));
//! ```

mod dot;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::trace::{WaitStats, WaitsOn};

/// Nodes and the waits between them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graph {
    /// All nodes that are known, by group and name.
    pub nodes: Vec<Node>,
    /// At most one for each group, origin, end and quorum, in that order.
    pub edges: Vec<Edge>,
}

/// A node, and everything that it has waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The group it belongs to; empty if groups have no names.
    pub group: String,
    /// Its name, unique within its group.
    pub name: String,
    /// All its waits, also those for its disk, the clock and itself.
    pub waits: Vec<Wait>,
}

/// Waits of one node that another takes part in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// The group of both.
    pub group: String,
    /// Who waits.
    pub from: String,
    /// For whom.
    pub to: String,
    /// How many have to answer.
    pub needed: usize,
    /// Out of how many; both are 1 if it waits for this one alone.
    pub total: usize,
    /// The waits by their labels.
    pub waits: Vec<Wait>,
}

/// The waits at one point of the code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The label in the protocol's code.
    pub label: String,
    /// On whom it depends, as [`WaitsOn`] prints it.
    pub on: String,
    /// How often a coroutine was suspended.
    pub count: u64,
    /// The time spent waiting.
    pub seconds: f64,
    /// The longest wait, in seconds.
    pub longest: f64,
}

/// Whether slowness can spread along an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// It can: the origin needs the end.
    Red,
    /// It cannot: enough others suffice.
    Green,
}

impl Graph {
    /// Reads a graph that was exported.
    ///
    /// # Errors
    ///
    /// Says where `json` is not such a graph.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The graph as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a graph has only plain values")
    }

    /// The graph in the language of Graphviz, with a box around each named group.
    pub fn to_dot(&self) -> String {
        dot::draw(self)
    }

    /// The edges along which slowness can spread.
    pub fn red(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(|edge| edge.color() == Color::Red)
    }

    /// Adds the waits of `other`. Nodes and edges that both have become one.
    pub fn merge(&mut self, other: &Self) {
        let mut nodes = BTreeMap::new();
        for node in self.nodes.drain(..).chain(other.nodes.iter().cloned()) {
            let key = (node.group.clone(), node.name.clone());
            nodes
                .entry(key)
                .and_modify(|known: &mut Node| merge_waits(&mut known.waits, &node.waits))
                .or_insert(node);
        }
        self.nodes = nodes.into_values().collect();
        let mut edges = BTreeMap::new();
        for edge in self.edges.drain(..).chain(other.edges.iter().cloned()) {
            let names = (edge.group.clone(), edge.from.clone(), edge.to.clone());
            edges
                .entry((names, edge.needed, edge.total))
                .and_modify(|known: &mut Edge| merge_waits(&mut known.waits, &edge.waits))
                .or_insert(edge);
        }
        self.edges = edges.into_values().collect();
    }

    /// Adds one wait of `from` for `to`, of which nobody knows how long it took: for clients and others that export
    /// nothing themselves.
    pub fn add_wait(
        &mut self,
        group: &str,
        from: &str,
        to: &str,
        needed: usize,
        total: usize,
        label: &str,
    ) {
        let node = |name: &str| Node {
            group: group.to_owned(),
            name: name.to_owned(),
            waits: Vec::new(),
        };
        let wait = Wait {
            label: label.to_owned(),
            on: format!("{needed}/{total}"),
            count: 1,
            seconds: 0.0,
            longest: 0.0,
        };
        let edge = Edge {
            group: group.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            needed,
            total,
            waits: vec![wait],
        };
        self.merge(&Self {
            nodes: vec![node(from), node(to)],
            edges: vec![edge],
        });
    }
}

impl Edge {
    /// Red if the quorum cannot be reached without the edge's end.
    pub const fn color(&self) -> Color {
        if self.needed < self.total {
            Color::Green
        } else {
            Color::Red
        }
    }

    /// How many of how many, `k/n`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.needed, self.total)
    }

    /// How many waits it stands for.
    pub fn count(&self) -> u64 {
        self.waits.iter().map(|wait| wait.count).sum()
    }
}

impl Wait {
    pub(crate) fn of(stats: &WaitStats) -> Self {
        Self {
            label: stats.label.to_owned(),
            on: stats.on.to_string(),
            count: stats.count,
            seconds: Duration::as_secs_f64(&stats.total),
            longest: Duration::as_secs_f64(&stats.longest),
        }
    }
}

fn merge_waits(waits: &mut Vec<Wait>, more: &[Wait]) {
    for wait in more {
        let same = |known: &&mut Wait| (&known.label, &known.on) == (&wait.label, &wait.on);
        if let Some(known) = waits.iter_mut().find(same) {
            known.count += wait.count;
            known.seconds += wait.seconds;
            known.longest = known.longest.max(wait.longest);
        } else {
            waits.push(wait.clone());
        }
    }
}

/// How many of how many a wait on others needs.
pub(crate) const fn quorum(on: WaitsOn) -> Option<(usize, usize)> {
    match on {
        WaitsOn::Peer(_) => Some((1, 1)),
        WaitsOn::Quorum { needed, total } => Some((needed, total)),
        WaitsOn::Local | WaitsOn::Disk | WaitsOn::Time => None,
    }
}
