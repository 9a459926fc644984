//! A register that is kept by three members and survives a slow one: each write goes to a majority, and so does each
//! read. The same code runs in simulation, where a member's link takes a second, and as three real nodes on this machine.
//!
//! ```text
//! cargo run -p depfast --example register
//! ```
//!
//! prints how long reads and writes took, and whom the nodes waited for as a graph for Graphviz.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use depfast::event::RpcResult;
use depfast::sim::{Link, Sim};
use depfast::spg::Graph;
use depfast::{
    Endpoint, Env, NodeId, Outcome, QuorumEvent, Responder, Rpc, Service, Verdict, real,
};

const READ: u8 = 1;
const WRITE: u8 = 2;
const LIMIT: Duration = Duration::from_secs(5);

/// What a member holds: the value with the highest version that it has heard of.
#[derive(Default)]
struct Member(Cell<(u64, u64)>);

impl Member {
    fn take(&self, version: u64, value: u64) {
        if version > self.0.get().0 {
            self.0.set((version, value));
        }
    }
}

impl Service for Member {
    fn handle(&self, _from: NodeId, method: u8, mut body: Bytes, respond: Responder) {
        match method {
            READ => {
                let (version, value) = self.0.get();
                respond.send(vec![pair(version, value)]);
            }
            WRITE if body.len() == 16 => {
                self.take(body.get_u64(), body.get_u64());
                respond.send(Vec::new());
            }
            // A later version's message: whoever sent it is ready for silence.
            _ => {}
        }
    }
}

fn pair(version: u64, value: u64) -> Bytes {
    [version.to_be_bytes(), value.to_be_bytes()].concat().into()
}

/// A node that is a member and also reads and writes.
struct Register {
    env: Env,
    me: NodeId,
    rpc: Rpc,
    member: Rc<Member>,
}

impl Register {
    async fn join(env: &Env, me: NodeId, addresses: &BTreeMap<NodeId, String>) -> Self {
        let mut peers = addresses.clone();
        let endpoint = Endpoint {
            me,
            listen: peers.remove(&me).unwrap_or_default(),
            peers,
            queue_bytes: 1 << 20,
        };
        let rpc = Rpc::join(env, endpoint).await.expect("the address is free");
        let member = Rc::<Member>::default();
        rpc.serve(Rc::<Member>::clone(&member));
        Self {
            env: env.clone(),
            me,
            rpc,
            member,
        }
    }

    /// Asks all members and waits for a majority of them, this one included.
    async fn ask(&self, label: &'static str, method: u8, body: Bytes) -> Option<(u64, u64)> {
        let latest = Rc::new(Cell::new(self.member.0.get()));
        let quorum = QuorumEvent::majority(&self.env, self.rpc.peers().len() + 1);
        quorum.vote(self.me, Verdict::Accept);
        let newest = Rc::clone(&latest);
        let judge = move |_member, answer: &RpcResult| match answer {
            Ok(answer) => {
                if answer.len() == 16 {
                    let mut answer = answer.clone();
                    let held = (answer.get_u64(), answer.get_u64());
                    newest.set(newest.get().max(held));
                }
                Verdict::Accept
            }
            Err(_) => Verdict::Reject,
        };
        self.rpc.broadcast(&quorum, method, &[body], judge);
        quorum.release(Duration::from_secs(1));
        match quorum.wait_for(label, LIMIT).await {
            Outcome::Ready => Some(latest.get()),
            Outcome::Fail | Outcome::Timeout => None,
        }
    }

    /// Writes what a majority then holds; `None` says that it is not known whether it does.
    async fn write(&self, value: u64) -> Option<()> {
        let (version, _) = self.ask("versions", READ, Bytes::new()).await?;
        self.member.take(version + 1, value);
        self.ask("write", WRITE, pair(version + 1, value)).await?;
        Some(())
    }

    /// The latest value; nobody will read an older one after this.
    async fn read(&self) -> Option<u64> {
        let (version, value) = self.ask("read", READ, Bytes::new()).await?;
        self.member.take(version, value);
        self.ask("write back", WRITE, pair(version, value)).await?;
        Some(value)
    }

    /// Writes and reads a hundred times; returns the longest of each pair.
    async fn exercise(&self) -> Duration {
        while self.read().await.is_none() {
            self.env
                .timeout("connecting", Duration::from_millis(20))
                .await;
        }
        let mut longest = Duration::ZERO;
        for value in 1..=100 {
            let start = self.env.now();
            self.write(value).await.expect("two members are well");
            assert_eq!(self.read().await, Some(value));
            longest = longest.max(self.env.now() - start);
        }
        longest
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("simulated, the link to member 3 takes a second:");
    let (longest, graph) = simulated();
    println!("  the longest write and read took {longest:?}");
    println!("real, three nodes on this machine:");
    println!("  the longest write and read took {:?}", on_this_machine()?);
    println!("{}", graph.to_dot());
    Ok(())
}

fn simulated() -> (Duration, Graph) {
    let sim = Sim::new(42);
    let slow = Duration::from_secs(1);
    let link = Link {
        delay: slow..slow,
        ..Link::default()
    };
    sim.set_link(NodeId(1), NodeId(3), link);
    let members: BTreeMap<_, _> = (1..=3).map(|id| (NodeId(id), String::new())).collect();
    let result = Rc::new(RefCell::new(None));
    for id in members.keys().copied() {
        let (members, result) = (members.clone(), Rc::clone(&result));
        sim.start(id, move |env| async move {
            let register = Register::join(&env, id, &members).await;
            if id == NodeId(1) {
                let longest = register.exercise().await;
                *result.borrow_mut() = Some((longest, env.trace().graph()));
            }
            env.terminated().await;
        });
    }
    sim.run_until(Duration::from_secs(60), || result.borrow().is_some());
    let result = result.take();
    result.expect("a slow member delays nobody")
}

fn on_this_machine() -> Result<Duration, Box<dyn Error>> {
    let mut members = BTreeMap::new();
    for id in 1..=3 {
        let free = TcpListener::bind("127.0.0.1:0")?;
        members.insert(NodeId(id), free.local_addr()?.to_string());
    }
    for id in [NodeId(2), NodeId(3)] {
        let members = members.clone();
        // They end with the process.
        std::thread::spawn(move || {
            real::run(real::Options::new(std::env::temp_dir()), |env| async move {
                let _register = Register::join(&env, id, &members).await;
                env.terminated().await;
            })
        });
    }
    let options = real::Options::new(std::env::temp_dir());
    Ok(real::run(options, |env| async move {
        let register = Register::join(&env, NodeId(1), &members).await;
        register.exercise().await
    })?)
}
