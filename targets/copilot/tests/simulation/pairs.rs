//! Clients with sessions that ask both pilots and take the first answer, as the papers' do.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use depfast::{Env, Instant, NodeId, Stream};
use resp::{Reply, encode, parse_reply};

use crate::cluster::Cluster;
use crate::scene::{COPILOT, PILOT, Scene};

/// Where the clients are.
pub(crate) const CLIENTS: NodeId = NodeId(900);
/// Commands that a session has under way.
const UNDER_WAY: usize = 8;
/// A session asks something new at most this much later.
const THINK: Duration = Duration::from_micros(600);
/// How often a connection looks whether there is something to send.
const PACE: Duration = Duration::from_micros(200);

/// A session, and its connection to each pilot.
pub(crate) struct Pair {
    desk: Rc<RefCell<Desk>>,
    lanes: [Rc<Lane>; 2],
}

/// The commands of a session.
struct Desk {
    /// All commands before this one are answered.
    below: u64,
    next: u64,
    pending: BTreeSet<u64>,
    answered: u64,
    last_answer: Instant,
    longest_gap: Duration,
}

/// One connection, on which everything that is sent must be answered.
struct Lane {
    stream: Stream,
    expected: RefCell<VecDeque<(u64, Instant)>>,
}

impl Pair {
    /// Begins to ask, without end.
    pub(crate) fn start(scene: &Scene, session: u64) -> Self {
        let env = scene.sim.env();
        let lanes = [PILOT, COPILOT].map(|id| {
            let address = Cluster::client_address(id);
            let stream = scene.sim.connect_from(CLIENTS, &address).unwrap();
            let opened = scene.ask_on(&stream, &["DF.SESSION", &session.to_string()]);
            assert!(opened.is_some(), "{id} opens the session");
            let expected = RefCell::default();
            Rc::new(Lane { stream, expected })
        });
        let desk = Rc::new(RefCell::new(Desk {
            below: 1,
            next: 1,
            pending: BTreeSet::new(),
            answered: 0,
            last_answer: env.now(),
            longest_gap: Duration::ZERO,
        }));
        let (asking, mut rng, clock) = (Rc::clone(&desk), scene.sim.rng(), env.clone());
        env.spawn(async move {
            loop {
                asking.borrow_mut().ask();
                let pause = rng.duration(&(Duration::ZERO..THINK));
                clock.timeout("think", pause).await;
            }
        });
        for lane in &lanes {
            let (sending, asked) = (Rc::clone(lane), Rc::clone(&desk));
            let sender = env.clone();
            env.spawn(async move { sending.send(&sender, &asked, session).await });
            let (receiving, answered) = (Rc::clone(lane), Rc::clone(&desk));
            let receiver = env.clone();
            env.spawn(async move { receiving.receive(&receiver, &answered).await });
        }
        Self { desk, lanes }
    }

    /// How many commands were answered.
    pub(crate) fn answered(&self) -> u64 {
        self.desk.borrow().answered
    }

    /// The longest time without an answer so far.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.desk.borrow().longest_gap
    }

    /// For how long the oldest command on a connection has waited.
    pub(crate) fn longest_wait(&self, now: Instant) -> Duration {
        let oldest = self.lanes.iter().filter_map(|lane| {
            let expected = lane.expected.borrow();
            expected.front().map(|(_, sent)| now.since(*sent))
        });
        oldest.max().unwrap_or_default()
    }
}

impl Desk {
    fn ask(&mut self) {
        if self.pending.len() < UNDER_WAY {
            self.pending.insert(self.next);
            self.next += 1;
        }
    }

    fn answered(&mut self, seq: u64, now: Instant) {
        if self.pending.remove(&seq) {
            self.answered += 1;
            self.longest_gap = self.longest_gap.max(now.since(self.last_answer));
            self.last_answer = now;
        }
        self.below = self.pending.first().copied().unwrap_or(self.next);
    }
}

impl Lane {
    async fn send(&self, env: &Env, desk: &RefCell<Desk>, session: u64) {
        let mut cursor = 1;
        loop {
            let mut out = BytesMut::new();
            {
                let desk = desk.borrow();
                cursor = desk.below.max(cursor);
                let mut expected = self.expected.borrow_mut();
                while cursor < desk.next && expected.len() < 2 * UNDER_WAY {
                    let words = [
                        cursor.to_string(),
                        desk.below.to_string(),
                        format!("{session}-{cursor}"),
                    ];
                    let [number, below, key] = words.each_ref().map(String::as_bytes);
                    encode::command(&mut out, [b"DF.DO", number, below, b"SET", key, b"x"]);
                    expected.push_back((cursor, env.now()));
                    cursor += 1;
                }
            }
            if !out.is_empty() && self.stream.write_all(&out).await.is_err() {
                return;
            }
            env.timeout("pace", PACE).await;
        }
    }

    async fn receive(&self, env: &Env, desk: &RefCell<Desk>) {
        let mut input = BytesMut::new();
        loop {
            while let Some((reply, length)) = parse_reply(&input).unwrap() {
                // What the other pilot has answered and the client has acknowledged is stale here.
                let fine = match reply {
                    Reply::Simple(b"OK") => true,
                    Reply::Error(text) => text.starts_with(b"STALE"),
                    _ => false,
                };
                assert!(fine, "{reply:?}");
                let (seq, _) = self.expected.borrow_mut().pop_front().unwrap();
                desk.borrow_mut().answered(seq, env.now());
                let _taken = input.split_to(length);
            }
            if self.stream.read(&mut input).await.unwrap_or(0) == 0 {
                return;
            }
        }
    }
}
