//! The waits of a node as its part of the slowness propagation graph.

use std::collections::BTreeSet;

use super::{Trace, WaitStats, WaitsOn};
use crate::id::NodeId;
use crate::spg::{self, Edge, Graph, Node, Wait};

impl Trace {
    /// Names the group that the node belongs to: needed where the graphs of several groups are put together.
    pub fn set_group(&self, group: &str) {
        group.clone_into(&mut self.group.borrow_mut());
    }

    /// This node's part of the slowness propagation graph; empty before the node has joined its peers.
    pub fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        let Some(me) = self.node() else {
            return graph;
        };
        let node = |id: NodeId, waits| Node {
            group: self.group.borrow().clone(),
            name: id.to_string(),
            waits,
        };
        let all = self.waits();
        graph.nodes = vec![node(me, all.iter().map(Wait::of).collect())];
        for peer in &*self.peers.borrow() {
            graph.nodes.push(node(*peer, Vec::new()));
        }
        for wait in &all {
            let Some((needed, total)) = spg::quorum(wait.on) else {
                continue;
            };
            let edge = |to: NodeId| Edge {
                group: self.group.borrow().clone(),
                from: me.to_string(),
                to: to.to_string(),
                needed,
                total,
                waits: vec![Wait::of(wait)],
            };
            let edges = self.others_in(wait, me).into_iter().map(edge).collect();
            // Merging puts together what differs only in its label.
            let nodes = Vec::new();
            graph.merge(&Graph { nodes, edges });
        }
        graph
    }

    /// This node's part of the slowness propagation graph, as JSON.
    pub fn export(&self) -> String {
        self.graph().to_json()
    }

    /// Whom a wait depends on besides the node itself.
    fn others_in(&self, wait: &WaitStats, me: NodeId) -> BTreeSet<NodeId> {
        let mut others = match wait.on {
            WaitsOn::Peer(peer) => BTreeSet::from([peer]),
            _ => self.members_of(wait.label, wait.on),
        };
        others.remove(&me);
        if let WaitsOn::Quorum { total, .. } = wait.on {
            // Whoever never answered has no name in the statistics, but a quorum over the whole group names all.
            let peers = self.peers.borrow();
            if others.len() + 1 < total && peers.len() + 1 == total {
                others.extend(peers.iter());
            }
        }
        others
    }

    fn members_of(&self, label: &'static str, on: WaitsOn) -> BTreeSet<NodeId> {
        let (stats, members) = (self.stats.borrow(), self.members.borrow());
        let same = |(stats, _): &(&WaitStats, _)| (stats.label, stats.on) == (label, on);
        let members = stats.iter().zip(&*members).filter(same);
        members
            .flat_map(|(_, members)| &members.all)
            .copied()
            .collect()
    }
}
