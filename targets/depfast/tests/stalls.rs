//! The default timeout: it ends waits that would go on forever, and says which.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::sim::{DiskSpeed, Sim};
use depfast::{
    AndEvent, Endpoint, Env, NodeId, Outcome, QuorumEvent, Responder, Rpc, RpcError, Service,
    Verdict,
};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(5);
const ME: NodeId = NodeId(1);
const SILENT: NodeId = NodeId(2);

/// Never answers.
struct Silence;

impl Service for Silence {
    fn handle(&self, _from: NodeId, _method: u8, _body: Bytes, _respond: Responder) {}
}

async fn join(env: &Env, me: NodeId, peer: NodeId) -> Rpc {
    let endpoint = Endpoint {
        me,
        listen: String::new(),
        peers: [(peer, String::new())].into(),
        queue_bytes: 1 << 20,
    };
    Rpc::join(env, endpoint).await.unwrap()
}

/// Has `ME` wait; says how that ended within ten seconds, and what the node's alerts say then.
fn ended<T: 'static, F: Future<Output = T>>(
    limit: Option<Duration>,
    wait: impl FnOnce(Env, Rpc) -> F + 'static,
) -> (Option<T>, Vec<String>) {
    let sim = Sim::new(1);
    let outcome = Rc::new(Cell::new(None));
    let alerts = Rc::new(RefCell::new(Vec::new()));
    sim.set_disk_speed(
        ME,
        DiskSpeed {
            access: SECOND * 60..SECOND * 61,
            ..DiskSpeed::default()
        },
    );
    sim.start(SILENT, |env| async move {
        let rpc = join(&env, SILENT, ME).await;
        rpc.serve(Rc::new(Silence));
        std::future::pending::<()>().await;
    });
    let (set, told) = (Rc::clone(&outcome), Rc::clone(&alerts));
    sim.start(ME, move |env| async move {
        let rpc = join(&env, ME, SILENT).await;
        env.set_default_timeout(limit);
        env.timeout("until all are there", SECOND).await;
        set.set(Some(wait(env.clone(), rpc).await));
        let alerts = env.alerts().since(0);
        told.replace(alerts.iter().map(ToString::to_string).collect());
        std::future::pending::<()>().await;
    });
    sim.run_for(SECOND * 10);
    (outcome.take(), alerts.take())
}

async fn quorum(env: Env) -> Outcome {
    let quorum = QuorumEvent::majority(&env, 3);
    quorum.vote(ME, Verdict::Accept);
    quorum.wait("replication").await
}

#[test]
fn a_quorum_that_is_never_decided() {
    let (outcome, alerts) = ended(Some(LIMIT), |env, _| quorum(env));
    assert_eq!(outcome, Some(Outcome::Timeout));
    let told = "6.000000s stall: n1: replication (quorum 2/3) is 5.000, threshold 5.000";
    assert_eq!(alerts, [told]);
}

#[test]
fn without_a_default_timeout_a_wait_goes_on() {
    assert_eq!(ended(None, |env, _| quorum(env)), (None, Vec::new()));
}

#[test]
fn a_limit_of_its_own_that_is_shorter_is_no_alert() {
    let (outcome, alerts) = ended(Some(LIMIT), |env, _| async move {
        let quorum = QuorumEvent::majority(&env, 3);
        quorum.wait_for("replication", SECOND).await
    });
    assert_eq!((outcome, alerts), (Some(Outcome::Timeout), Vec::new()));
}

#[test]
fn a_peer_that_never_answers() {
    let (answer, alerts) = ended(Some(LIMIT), |_, rpc| async move {
        rpc.call(SILENT, 1, Vec::new()).wait("a vote").await
    });
    assert_eq!(answer, Some(Err(RpcError::TimedOut)));
    let told = "6.000000s stall: n1: a vote (peer n2) is 5.000, threshold 5.000";
    assert_eq!(alerts, [told]);
}

#[test]
fn a_disk_that_hangs() {
    let (error, alerts) = ended(Some(LIMIT), |env, _| async move {
        let file = env.disk().open("log").wait("open").await.unwrap();
        file.read(0, 1).wait("log read").await.unwrap_err()
    });
    let error = error.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(
        error.to_string(),
        "log read: the default timeout was reached"
    );
    let [alert] = &alerts[..] else {
        panic!("{alerts:?}")
    };
    assert!(alert.contains("stall: n1: log read (disk)"), "{alert}");
}

#[test]
fn one_part_of_several_that_never_comes() {
    let (outcome, alerts) = ended(Some(LIMIT), |env, rpc| async move {
        let quorum = QuorumEvent::majority(&env, 3);
        let call = rpc.call(SILENT, 1, Vec::new());
        let both = AndEvent::new(&env).and(&quorum).and(&call);
        both.wait("both").await
    });
    assert_eq!(outcome, Some(Outcome::Timeout));
    let told = "6.000000s stall: n1: both (quorum 2/3, peer n2) is 5.000, threshold 5.000";
    assert_eq!(alerts, [told]);
}
