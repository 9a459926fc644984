//! What has not left a node yet, in simulation: bounded, and dropped when nobody needs it any more.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::sim::Sim;
use depfast::{
    Endpoint, Env, NodeId, Outcome, QuorumEvent, Responder, Rpc, RpcError, Service, Verdict,
};

const SECOND: Duration = Duration::from_secs(1);
const ME: NodeId = NodeId(0);
const SLOW: NodeId = NodeId(4);
const MESSAGE: &[u8] = &[0; 80];

/// Counts the calls that arrive.
struct Counter(Rc<Cell<u32>>);

impl Service for Counter {
    fn handle(&self, _from: NodeId, _method: u8, _body: Bytes, respond: Responder) {
        self.0.set(self.0.get() + 1);
        respond.send(Vec::new());
    }
}

async fn join(env: &Env, me: NodeId) -> Rpc {
    let peers = (0..=4).map(NodeId).filter(|peer| *peer != me);
    let endpoint = Endpoint {
        me,
        listen: String::new(),
        peers: peers.map(|peer| (peer, String::new())).collect(),
        // There is room for one message only.
        queue_bytes: 100,
    };
    Rpc::join(env, endpoint).await.unwrap()
}

async fn call(rpc: &Rpc) -> Result<(), RpcError> {
    let call = rpc.call(SLOW, 1, vec![Bytes::from_static(MESSAGE)]);
    call.wait("one call").await.map(|_| ())
}

#[test]
fn what_a_slow_peer_has_not_taken_is_dropped_when_the_quorum_is_decided() {
    let sim = Sim::new(1);
    sim.set_queue(ME, SLOW, SECOND..SECOND);
    let arrived = Rc::new(Cell::new(0));
    for peer in (1..=4).map(NodeId) {
        let arrived = if peer == SLOW {
            Rc::clone(&arrived)
        } else {
            Rc::default()
        };
        sim.start(peer, move |env| async move {
            join(&env, peer).await.serve(Rc::new(Counter(arrived)));
            env.terminated().await;
        });
    }
    let done = Rc::new(Cell::new(false));
    let finished = Rc::clone(&done);
    sim.start(ME, |env| async move {
        let rpc = join(&env, ME).await;
        let votes = QuorumEvent::majority(&env, 5);
        votes.vote(ME, Verdict::Accept);
        let errors = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&errors);
        let body = [Bytes::from_static(MESSAGE)];
        rpc.broadcast(&votes, 1, &body, move |member, answer| match answer {
            Ok(_) => Verdict::Accept,
            Err(error) => {
                noted.borrow_mut().push((member, *error));
                Verdict::Reject
            }
        });
        assert_eq!(call(&rpc).await, Err(RpcError::QueueFull));
        assert_eq!(errors.take(), []);
        assert_eq!(votes.wait("votes").await, Outcome::Ready);
        assert_eq!(errors.take(), [(SLOW, RpcError::NotNeeded)]);
        // Now there is room again.
        assert_eq!(call(&rpc).await, Ok(()));
        finished.set(true);
    });
    assert!(sim.run_until(5 * SECOND, || done.get()));
    assert_eq!(arrived.get(), 1, "what was dropped never arrives");
}
