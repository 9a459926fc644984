//! What tracing costs: the CPU time of a leader per request, with and without, in paired windows of one run.
//!
//! ```text
//! cargo run --release -p depfast --example cost_of_tracing -- 40
//! ```
//!
//! measures 40 pairs of windows of half a second each. The load is the worst for tracing: a request does nothing but wait for
//! a quorum of three, and nothing is batched.

mod paired;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::{Endpoint, Env, NodeId, QuorumEvent, Responder, Rpc, Service, Verdict, real};

const LEADER: NodeId = NodeId(1);
const CLIENTS: usize = 64;

/// Takes calls and says no more than that.
struct Acknowledge;

impl Service for Acknowledge {
    fn handle(&self, _from: NodeId, _method: u8, _body: Bytes, respond: Responder) {
        respond.send(Vec::new());
    }
}

async fn join(env: &Env, me: NodeId, mut addresses: BTreeMap<NodeId, String>) -> Rpc {
    let endpoint = Endpoint {
        me,
        listen: addresses.remove(&me).unwrap_or_default(),
        peers: addresses,
        queue_bytes: 8 << 20,
    };
    let rpc = Rpc::join(env, endpoint).await.expect("the address is free");
    rpc.serve(Rc::new(Acknowledge));
    rpc
}

async fn client(env: Env, rpc: Rpc, requests: Rc<Cell<u64>>) {
    let body = [Bytes::from_static(&[7; 128])];
    loop {
        let quorum = QuorumEvent::majority(&env, 3);
        quorum.vote(LEADER, Verdict::Accept);
        rpc.broadcast(&quorum, 1, &body, |_, answer| match answer {
            Ok(_) => Verdict::Accept,
            Err(_) => Verdict::Reject,
        });
        quorum.wait("a majority").await;
        requests.set(requests.get() + 1);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pairs = paired::asked()?;
    let mut addresses = BTreeMap::new();
    for id in 1..=3 {
        let free = TcpListener::bind("127.0.0.1:0")?;
        addresses.insert(NodeId(id), free.local_addr()?.to_string());
    }
    for id in [NodeId(2), NodeId(3)] {
        let addresses = addresses.clone();
        // They end with the process.
        std::thread::spawn(move || {
            real::run(real::Options::new(std::env::temp_dir()), |env| async move {
                let _rpc = join(&env, id, addresses).await;
                env.terminated().await;
            })
        });
    }
    let options = real::Options::new(std::env::temp_dir());
    let measured = real::run(options, |env| async move {
        let rpc = join(&env, LEADER, addresses).await;
        for peer in rpc.peers() {
            while rpc.call(peer, 1, Vec::new()).wait("hello").await.is_err() {
                env.timeout("connecting", Duration::from_millis(20)).await;
            }
        }
        let requests = Rc::new(Cell::new(0));
        for _ in 0..CLIENTS {
            env.spawn(client(env.clone(), rpc.clone(), Rc::clone(&requests)));
        }
        env.timeout("warm-up", paired::WINDOW).await;
        paired::measure(&env, pairs, || requests.get()).await
    })?;
    paired::print(
        &measured,
        &format!("{CLIENTS} clients, 3 members on one machine"),
    );
    Ok(())
}
