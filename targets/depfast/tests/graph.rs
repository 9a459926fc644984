//! The slowness propagation graph of running groups.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::sim::{Link, Sim};
use depfast::spg::{Color, Graph};
use depfast::{Endpoint, Env, NodeId, QuorumEvent, Responder, Rpc, Service, Verdict};

const SECOND: Duration = Duration::from_secs(1);

/// Answers every call with its body.
struct Echo;

impl Service for Echo {
    fn handle(&self, _from: NodeId, _method: u8, body: Bytes, respond: Responder) {
        respond.send(vec![body]);
    }
}

async fn join(env: &Env, me: NodeId, group: &[NodeId]) -> Rpc {
    let others = group.iter().filter(|id| **id != me);
    let endpoint = Endpoint {
        me,
        listen: String::new(),
        peers: others.map(|id| (*id, String::new())).collect(),
        queue_bytes: 1 << 20,
    };
    let rpc = Rpc::join(env, endpoint).await.unwrap();
    rpc.serve(Rc::new(Echo));
    rpc
}

/// Three members; the first replicates to the others, the second asks the third. One follower is silent all the time.
fn exports(name: &'static str, first: u32) -> Vec<String> {
    let sim = Sim::new(1);
    let group = [first, first + 1, first + 2].map(NodeId);
    let traces = Rc::new(RefCell::new(Vec::new()));
    let [leader, slow, asked] = group;
    let lost = Link {
        loss: 1.0,
        ..Link::default()
    };
    sim.set_link(leader, slow, lost);
    for member in group {
        let traces = Rc::clone(&traces);
        sim.start(member, move |env| async move {
            env.trace().set_group(name);
            traces.borrow_mut().push(env.trace());
            let rpc = join(&env, member, &group).await;
            for _ in 0..5 {
                if member == leader {
                    let quorum = QuorumEvent::majority(&env, 3);
                    quorum.vote(leader, Verdict::Accept);
                    rpc.broadcast(&quorum, 1, &[], |_, answer| match answer {
                        Ok(_) => Verdict::Accept,
                        Err(_) => Verdict::Reject,
                    });
                    quorum.wait("replication").await;
                } else if member == slow {
                    rpc.call(asked, 1, Vec::new())
                        .wait("a question")
                        .await
                        .unwrap();
                }
            }
            env.terminated().await;
        });
    }
    sim.run_for(SECOND);
    let traces = traces.borrow();
    traces.iter().map(|trace| trace.export()).collect()
}

#[test]
fn waits_on_one_peer_are_red_and_waits_on_quorums_green_over_all_groups() {
    let mut graph = Graph::default();
    for (group, first) in [("shard 1", 1), ("shard 2", 4)] {
        for export in exports(group, first) {
            graph.merge(&Graph::from_json(&export).unwrap());
        }
    }
    let edges: BTreeSet<_> = graph
        .edges
        .iter()
        .map(|edge| {
            let what = (edge.color() == Color::Red, edge.label(), edge.count());
            (
                edge.group.as_str(),
                edge.from.as_str(),
                edge.to.as_str(),
                what,
            )
        })
        .collect();
    let (quorum, peer) = ((false, "2/3".to_owned(), 5), (true, "1/1".to_owned(), 5));
    assert_eq!(
        edges,
        BTreeSet::from([
            ("shard 1", "n1", "n2", quorum.clone()),
            ("shard 1", "n1", "n3", quorum.clone()),
            ("shard 1", "n2", "n3", peer.clone()),
            ("shard 2", "n4", "n5", quorum.clone()),
            ("shard 2", "n4", "n6", quorum),
            ("shard 2", "n5", "n6", peer),
        ])
    );
    assert_eq!(graph.nodes.len(), 6);
    let replication = &graph.edges[0].waits[0];
    assert_eq!(replication.label, "replication");
    assert!(replication.seconds > 0.0 && replication.longest <= replication.seconds);
    let mut twice = graph.clone();
    twice.merge(&graph);
    assert_eq!((twice.edges.len(), twice.edges[0].count()), (6, 10));
}

#[test]
fn a_quorum_of_all_lets_slowness_through() {
    let mut graph = Graph::default();
    graph.add_wait("", "n1", "n2", 3, 3, "everyone");
    graph.add_wait("", "n1", "n2", 2, 3, "a majority");
    assert_eq!(graph.red().count(), 1);
}
