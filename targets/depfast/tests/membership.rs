//! Peers that come and go, in both environments.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::event::RpcResult;
use depfast::sim::Sim;
use depfast::{Endpoint, Env, NodeId, Responder, Rpc, RpcError, Service, real};

const OLD: NodeId = NodeId(1);
const NEW: NodeId = NodeId(2);

/// Answers every call with its body.
struct Echo;

impl Service for Echo {
    fn handle(&self, _from: NodeId, _method: u8, body: Bytes, respond: Responder) {
        respond.send(vec![body]);
    }
}

async fn join(env: &Env, me: NodeId, listen: &str, peers: &[(NodeId, &str)]) -> Rpc {
    let peers: BTreeMap<_, _> = peers
        .iter()
        .map(|(id, address)| (*id, (*address).to_owned()))
        .collect();
    let endpoint = Endpoint {
        me,
        listen: listen.to_owned(),
        peers,
        queue_bytes: 1 << 20,
    };
    let rpc = Rpc::join(env, endpoint).await.unwrap();
    rpc.serve(Rc::new(Echo));
    rpc
}

/// Calls until there is a connection, for half a minute at most.
async fn call(env: &Env, rpc: &Rpc, to: NodeId) -> RpcResult {
    let mut result = Err(RpcError::Disconnected);
    for _ in 0..3000 {
        result = rpc
            .call(to, 1, vec![Bytes::from_static(b"hello")])
            .wait("echo")
            .await;
        if result != Err(RpcError::Disconnected) {
            break;
        }
        env.timeout("connecting", Duration::from_millis(10)).await;
    }
    result
}

/// A newcomer that knows the old member calls it before that knows the newcomer; then it is added, and removed.
async fn come_and_go(env: Env, old_address: String, new_address: String) {
    let old = join(&env, OLD, &old_address, &[]).await;
    let new = join(&env, NEW, &new_address, &[(OLD, &old_address)]).await;
    assert_eq!(call(&env, &new, OLD).await.unwrap(), "hello");
    assert_eq!(
        old.call(NEW, 1, Vec::new()).error(),
        Some(RpcError::Disconnected),
        "only peers are called"
    );

    old.add_peer(NEW, &new_address);
    assert_eq!(old.peers(), [NEW]);
    assert_eq!(call(&env, &old, NEW).await.unwrap(), "hello");

    let unanswered = old.call(NEW, 1, Vec::new());
    old.add_peer(NEW, &new_address);
    assert_eq!(unanswered.error(), None, "it is a peer already");
    old.remove_peer(NEW);
    assert_eq!(unanswered.wait("echo").await, Err(RpcError::Disconnected));
    assert_eq!(
        old.call(NEW, 1, Vec::new()).error(),
        Some(RpcError::Disconnected)
    );
    assert!(old.peers().is_empty());
    assert_eq!(call(&env, &new, OLD).await.unwrap(), "hello");
}

#[test]
fn members_come_and_go_over_tcp() {
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [old, new] = held
        .each_ref()
        .map(|it| it.local_addr().unwrap().to_string());
    drop(held);
    let directory = tempfile::tempdir().unwrap();
    let options = real::Options::new(directory.path());
    real::run(options, |env| come_and_go(env, old, new)).unwrap();
}

#[test]
fn members_come_and_go_in_simulation() {
    let sim = Sim::new(1);
    // Both join from one node, which the network knows by both names.
    sim.start(OLD, |env| async move {
        env.terminated().await;
    });
    sim.start(NEW, |env| async move {
        env.terminated().await;
    });
    let done = Rc::new(std::cell::Cell::new(false));
    let finished = Rc::clone(&done);
    let env = sim.env();
    sim.env().spawn(async move {
        come_and_go(env, "old:1".to_owned(), "new:1".to_owned()).await;
        finished.set(true);
    });
    assert!(sim.run_until(Duration::from_secs(60), || done.get()));
}
