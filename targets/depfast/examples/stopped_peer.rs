//! What a leader's memory does while one of its two peers is stopped (SIGSTOP) under full load.
//!
//! ```text
//! cargo run --release -p depfast --example stopped_peer -- 600
//! ```
//!
//! runs each of two ways to broadcast for 600 seconds. `dropping` drops what the stopped peer no longer needs, `keeping`
//! lets it queue up to the limit. The bound is stated and checked: the queue's limit, and 24 MiB for everything else that
//! is bounded (4096 open calls with their closures, what is ready to be written, what the allocator keeps).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use depfast::{
    Endpoint, Env, NodeId, Outcome, QuorumEvent, Responder, Rpc, Service, Verdict, real,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Tells a process that it is a peer: its id, and all addresses.
const PEER: &str = "STOPPED_PEER";
const LEADER: NodeId = NodeId(1);
const STOPPED: NodeId = NodeId(3);
const QUEUE: usize = 8 << 20;
const REST: u64 = 24 << 20;
const MESSAGE: usize = 4 << 10;
/// Broadcasts in flight.
const CLIENTS: usize = 64;

/// How broadcasts treat a peer that does not take them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// What it no longer needs is dropped.
    Dropping,
    /// Everything queues up to the limit, as for a protocol that needs its messages in order.
    Keeping,
}

/// When to end: whatever comes first.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// So much time has passed.
    pub(crate) time: Duration,
    /// So many bytes were broadcast.
    pub(crate) offered: u64,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Report {
    /// Broadcasts that a quorum acknowledged while the peer was stopped.
    pub(crate) broadcasts: u64,
    /// Bytes that the stopped peer was to be sent.
    pub(crate) offered: u64,
    /// Memory of the leader before the peer was stopped, and the most while it was.
    pub(crate) before: u64,
    /// See `before`.
    pub(crate) most: u64,
    /// Why calls to the stopped peer failed, and how many did.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Whether the peer answered again after it was continued.
    pub(crate) recovered: bool,
}

impl Report {
    /// The memory that the stopped peer may cost.
    pub(crate) const BOUND: u64 = QUEUE as u64 + REST;

    /// Whether memory stayed under the bound.
    pub(crate) fn is_bounded(&self) -> bool {
        self.most <= self.before + Self::BOUND
    }
}

/// Takes calls and says no more than that.
struct Acknowledge;

impl Service for Acknowledge {
    fn handle(&self, _from: NodeId, _method: u8, _body: Bytes, respond: Responder) {
        respond.send(Vec::new());
    }
}

/// A peer's process, killed when this is dropped.
struct Peer(Child);

impl Peer {
    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        kill(pid, signal).expect("the peer is our child");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

async fn join(env: &Env, me: NodeId, addresses: &[String]) -> Rpc {
    let all = (1..).map(NodeId).zip(addresses.iter().cloned());
    let (own, peers): (BTreeMap<_, _>, _) = all.partition(|(id, _)| *id == me);
    let endpoint = Endpoint {
        me,
        listen: own[&me].clone(),
        peers,
        queue_bytes: QUEUE,
    };
    let rpc = Rpc::join(env, endpoint).await.expect("the address is free");
    rpc.serve(Rc::new(Acknowledge));
    rpc
}

/// Is a peer, if the environment says so, until it is killed.
pub(crate) fn be_peer_if_told() {
    let Ok(told) = std::env::var(PEER) else {
        return;
    };
    let mut words = told.split(' ').map(str::to_owned);
    let id = words.next().and_then(|id| id.parse().ok());
    let (id, addresses): (_, Vec<_>) = (NodeId(id.expect("the parent tells it")), words.collect());
    let options = real::Options::new(std::env::temp_dir());
    let run = real::run(options, |env| async move {
        let _rpc = join(&env, id, &addresses).await;
        env.terminated().await;
    });
    run.expect("a peer needs few descriptors");
    std::process::exit(0);
}

/// Runs a leader with two peers, which are this program again, started with `arguments`.
pub(crate) fn run(mode: Mode, limit: Limit, arguments: &[&str]) -> Report {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let addresses = held.each_ref().map(|listener| {
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        address.to_string()
    });
    drop(held);
    let program = std::env::current_exe().expect("this program is somewhere");
    let peers = [2, STOPPED.0].map(|id| {
        let mut command = Command::new(&program);
        command.args(arguments).stdout(Stdio::null());
        command.env(PEER, format!("{id} {}", addresses.join(" ")));
        Peer(command.spawn().expect("this program can be started"))
    });
    let options = real::Options::new(std::env::temp_dir());
    let main = |env| async move { lead(env, mode, limit, &addresses, &peers[1]).await };
    real::run(options, main).expect("a leader needs few descriptors")
}

async fn lead(env: Env, mode: Mode, limit: Limit, addresses: &[String], stopped: &Peer) -> Report {
    let rpc = join(&env, LEADER, addresses).await;
    while !answers(&env, &rpc, NodeId(2)).await || !answers(&env, &rpc, STOPPED).await {
        env.timeout("connecting", Duration::from_millis(20)).await;
    }
    let load = Rc::new(Load::default());
    for _ in 0..CLIENTS {
        let (env, rpc, load) = (env.clone(), rpc.clone(), Rc::clone(&load));
        env.clone()
            .spawn(async move { load.drive(&env, &rpc, mode).await });
    }
    env.timeout("warm-up", Duration::from_secs(1)).await;
    let (before, done_before) = (env.resident_memory(), load.broadcasts.get());
    stopped.signal(Signal::SIGSTOP);
    let (start, mut most) = (env.now(), 0);
    loop {
        env.timeout("sample", Duration::from_millis(100)).await;
        most = most.max(env.resident_memory());
        let offered = (load.broadcasts.get() - done_before) * MESSAGE as u64;
        if offered >= limit.offered || env.now() - start >= limit.time {
            break;
        }
    }
    let broadcasts = load.broadcasts.get() - done_before;
    load.over.set(true);
    stopped.signal(Signal::SIGCONT);
    let mut recovered = false;
    for _ in 0..3000 {
        if answers(&env, &rpc, STOPPED).await {
            recovered = true;
            break;
        }
        env.timeout("recovering", Duration::from_millis(10)).await;
    }
    Report {
        broadcasts,
        offered: broadcasts * MESSAGE as u64,
        before,
        most,
        errors: load.errors.take(),
        recovered,
    }
}

async fn answers(env: &Env, rpc: &Rpc, peer: NodeId) -> bool {
    let call = rpc.call(peer, 1, Vec::new()).wait("an answer");
    matches!(
        env.within("an answer", Duration::from_secs(1), call).await,
        Some(Ok(_))
    )
}

/// Clients that broadcast one message after the other.
#[derive(Default)]
struct Load {
    broadcasts: Cell<u64>,
    errors: RefCell<BTreeMap<String, u64>>,
    over: Cell<bool>,
}

impl Load {
    async fn drive(self: Rc<Self>, env: &Env, rpc: &Rpc, mode: Mode) {
        while !self.over.get() {
            // Each has memory of its own, as the batches of a protocol have.
            let body = [Bytes::from(vec![7; MESSAGE])];
            let quorum = QuorumEvent::majority(env, 3);
            quorum.vote(LEADER, Verdict::Accept);
            let load = Rc::clone(&self);
            let judge = move |_, answer: &_| match answer {
                Ok(_) => Verdict::Accept,
                Err(error) => {
                    *load
                        .errors
                        .borrow_mut()
                        .entry(format!("{error:?}"))
                        .or_default() += 1;
                    Verdict::Reject
                }
            };
            match mode {
                Mode::Dropping => rpc.broadcast(&quorum, 1, &body, judge),
                Mode::Keeping => {
                    for peer in rpc.peers() {
                        let judge = judge.clone();
                        let call = rpc.call(peer, 1, body.to_vec());
                        quorum.add(call, move |answer| judge(peer, answer));
                    }
                }
            }
            quorum.release(Duration::from_secs(1));
            if quorum.wait("a majority").await == Outcome::Ready {
                self.broadcasts.set(self.broadcasts.get() + 1);
            }
            env.yield_now().await;
        }
    }
}

fn main() {
    be_peer_if_told();
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(10), |seconds| seconds.parse());
    let Ok(seconds) = seconds else {
        eprintln!("usage: stopped_peer [SECONDS]");
        std::process::exit(2);
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for mode in [Mode::Dropping, Mode::Keeping] {
        let limit = Limit {
            time: Duration::from_secs(seconds),
            offered: u64::MAX,
        };
        let report = run(mode, limit, &[]);
        println!(
            "{mode:?}: {} broadcasts a second, {:.0} MiB offered to the stopped peer in {seconds} s",
            report.broadcasts / seconds.max(1),
            mib(report.offered),
        );
        println!(
            "  memory {:.1} MiB before, {:.1} MiB at most; {} the bound of {:.0} MiB more; calls that failed: {:?}; {}",
            mib(report.before),
            mib(report.most),
            if report.is_bounded() {
                "within"
            } else {
                "BEYOND"
            },
            mib(Report::BOUND),
            report.errors,
            if report.recovered {
                "it answers again"
            } else {
                "it does NOT answer again"
            },
        );
    }
}
