//! Clients with sessions in random lives: each command goes to two replicas, and again to others, and takes effect once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use depfast::{Env, Instant, Rng, Stream};
use depfast_copilot::ReplicaId;
use kv::Replica;
use resp::{Reply, encode, parse_reply};

use crate::cluster::Cluster;

/// What all sessions count up.
const COUNTER: &str = "counter";
/// Commands of a session without an answer.
const UNDER_WAY: usize = 3;
/// Requests on one connection.
const AT_ONE: usize = 20;

pub(crate) type Desks = Vec<Rc<RefCell<Desk>>>;

/// The commands of a session.
pub(crate) struct Desk {
    session: u64,
    /// The answers to all commands before this one are acknowledged.
    below: u64,
    /// By their numbers, which begin at 1.
    increments: BTreeMap<u64, Increment>,
    complaints: Vec<String>,
}

/// What was asked once or several times, and every number that was answered.
struct Increment {
    asked: Instant,
    answered: Option<Instant>,
    told: BTreeSet<i64>,
    answers: u64,
}

/// One of a session's connections at a time.
pub(crate) struct Lane {
    cluster: Cluster,
    env: Env,
    rng: Rng,
    desk: Rc<RefCell<Desk>>,
}

/// What sessions saw in a life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Increments with an answer.
    pub(crate) increments: u64,
    /// Further answers to them.
    pub(crate) copies: u64,
}

/// Sessions that have asked nothing yet.
pub(crate) fn desks(count: u64) -> Desks {
    let desk = |session| Desk {
        session,
        below: 1,
        increments: BTreeMap::new(),
        complaints: Vec::new(),
    };
    let desks = (1..=count).map(desk);
    desks.map(|desk| Rc::new(RefCell::new(desk))).collect()
}

/// Two connections for each session.
pub(crate) fn lanes(desks: &Desks, cluster: &Cluster) -> Vec<Lane> {
    let lane = |desk| Lane {
        cluster: cluster.clone(),
        env: cluster.sim.env(),
        rng: cluster.sim.rng(),
        desk: Rc::clone(desk),
    };
    desks
        .iter()
        .flat_map(|desk| [desk, desk])
        .map(lane)
        .collect()
}

impl Desk {
    /// The next command for a connection that has got to `cursor`, and what is acknowledged with it; something new where there
    /// is none.
    fn next(&mut self, cursor: &mut u64, rng: &mut Rng, now: Instant) -> Option<(u64, u64)> {
        let is_open = |(_, increment): &(&u64, &Increment)| increment.told.is_empty();
        let next = self.increments.len() as u64 + 1;
        let open = self.increments.iter().filter(is_open);
        let first_open = open.clone().next().map_or(next, |(seq, _)| *seq);
        let is_full = open.count() >= UNDER_WAY;
        // Answers are kept for a while, so that copies get them.
        let lag = rng.below(0..6);
        self.below = self.below.max(first_open.saturating_sub(lag));
        *cursor = self.below.max(*cursor);
        if *cursor == next {
            if is_full {
                return None;
            }
            let increment = Increment {
                asked: now,
                answered: None,
                told: BTreeSet::new(),
                answers: 0,
            };
            self.increments.insert(next, increment);
        }
        let seq = *cursor;
        // Now and then one is left to the other connection, or to the next one.
        *cursor += if rng.chance(0.1) && seq + 1 < next {
            2
        } else {
            1
        };
        Some((seq, self.below))
    }

    fn answered(&mut self, seq: u64, reply: &Reply<'_>, now: Instant) {
        let Some(increment) = self.increments.get_mut(&seq) else {
            return;
        };
        match reply {
            Reply::Integer(number) => {
                increment.told.insert(*number);
                increment.answers += 1;
                increment.answered.get_or_insert(now);
            }
            Reply::Error(text) if text.starts_with(b"STALE") && seq < self.below => {}
            Reply::Error(text) if is_retried(text) => {}
            other => {
                let complaint = format!("session {} {seq}: {other:?}", self.session);
                self.complaints.push(complaint);
            }
        }
    }
}

/// Whether nothing is known of what was asked.
fn is_retried(error: &[u8]) -> bool {
    error.starts_with(b"UNKNOWN") || error.starts_with(b"CLUSTERDOWN")
}

impl Lane {
    /// Asks without end, at one replica after the other.
    pub(crate) async fn run(mut self) {
        loop {
            self.think().await;
            let address = Cluster::client_address(self.choose());
            if let Ok(stream) = self.cluster.sim.connect(&address) {
                let _gives_up = self.talk(&stream).await;
            }
        }
    }

    /// Often a pilot, as somebody knows it, and else anyone.
    fn choose(&mut self) -> ReplicaId {
        let running = self.cluster.running();
        let pick =
            |rng: &mut Rng, count: usize| usize::try_from(rng.below(0..count as u64)).unwrap();
        if self.rng.chance(0.6) && !running.is_empty() {
            let (_, asked) = &running[pick(&mut self.rng, running.len())];
            if let Some(pilot) = asked.pilots()[pick(&mut self.rng, 2)] {
                return pilot;
            }
        }
        let ids = &self.cluster.ids;
        ids[pick(&mut self.rng, ids.len())]
    }

    async fn think(&mut self) {
        let think = Duration::from_micros(100)..Duration::from_millis(12);
        let think = self.rng.duration(&think);
        self.env.timeout("think", think).await;
    }

    /// Asks on a connection until an answer stays away, or for a while.
    async fn talk(&mut self, stream: &Stream) -> Option<()> {
        let session = self.desk.borrow().session.to_string();
        let opened = self.ask(stream, ["DF.SESSION", &session]).await?;
        if !matches!(parse(&opened), Reply::Integer(_)) {
            return None;
        }
        let mut cursor = 0;
        for _ in 0..AT_ONE {
            let now = self.env.now();
            let next = self.desk.borrow_mut().next(&mut cursor, &mut self.rng, now);
            if let Some((seq, below)) = next {
                let (number, below) = (seq.to_string(), below.to_string());
                let words = ["DF.DO", &number, &below, "INCR", COUNTER];
                let reply = self.ask(stream, words).await?;
                let (reply, now) = (parse(&reply), self.env.now());
                self.desk.borrow_mut().answered(seq, &reply, now);
            }
            self.think().await;
        }
        Some(())
    }

    /// The reply, if it comes in time.
    async fn ask<const N: usize>(&mut self, stream: &Stream, words: [&str; N]) -> Option<BytesMut> {
        let patience = Duration::from_millis(20)..Duration::from_millis(500);
        let patience = self.rng.duration(&patience);
        let reply = self.env.within("answer", patience, ask(stream, words));
        reply.await.flatten()
    }
}

/// What the counter is in the end.
pub(crate) async fn read_counter(cluster: Cluster, env: Env) -> i64 {
    for id in cluster.ids.iter().cycle() {
        if let Ok(stream) = cluster.sim.connect(&Cluster::client_address(*id)) {
            let patience = Duration::from_secs(1);
            let asking = ask(&stream, ["GET", COUNTER]);
            let reply = env.within("answer", patience, asking).await.flatten();
            match reply.as_ref().map(|reply| parse(reply)) {
                Some(Reply::Nil) => return 0,
                Some(Reply::Bulk(text)) => {
                    return std::str::from_utf8(text).unwrap().parse().unwrap();
                }
                _ => {}
            }
        }
        env.timeout("retry", Duration::from_millis(10)).await;
    }
    unreachable!("there are replicas")
}

async fn ask<const N: usize>(stream: &Stream, words: [&str; N]) -> Option<BytesMut> {
    let mut request = BytesMut::new();
    encode::command(&mut request, words.map(str::as_bytes));
    stream.write_all(&request).await.ok()?;
    let mut input = BytesMut::new();
    while parse_reply(&input).unwrap().is_none() {
        if stream.read(&mut input).await.ok()? == 0 {
            return None;
        }
    }
    Some(input)
}

fn parse(whole: &[u8]) -> Reply<'_> {
    parse_reply(whole).unwrap().expect("it is whole").0
}

/// I7: each increment took effect once, or at most once if nobody answered it, and every answer to it is the same; what was
/// answered before something else was asked comes before it.
pub(crate) fn check(desks: &Desks, counter: i64) -> Result<Counted, String> {
    let desks: Vec<_> = desks.iter().map(|desk| desk.borrow()).collect();
    if let Some(complaint) = desks.iter().find_map(|desk| desk.complaints.first()) {
        return Err(complaint.clone());
    }
    let mut counted = Counted::default();
    let mut by_number = BTreeMap::new();
    let mut asked = 0;
    for desk in &desks {
        for (seq, increment) in &desk.increments {
            asked += 1;
            let Some(answered) = increment.answered else {
                continue;
            };
            let name = format!("session {} {seq}", desk.session);
            counted.increments += 1;
            counted.copies += increment.answers - 1;
            if increment.told.len() > 1 {
                return Err(format!("{name} was answered {:?}", increment.told));
            }
            for number in &increment.told {
                let entry = (name.clone(), increment.asked, answered);
                if let Some((other, _, _)) = by_number.insert(*number, entry) {
                    return Err(format!("{name} and {other} were both answered {number}"));
                }
            }
        }
    }
    let mut later: Option<(&String, Instant)> = None;
    for (number, (name, asked, answered)) in by_number.iter().rev() {
        if let Some((earlier, before)) = later
            && before < *asked
        {
            return Err(format!(
                "{name} was answered {number}, and {earlier} before that more"
            ));
        }
        if later.is_none_or(|(_, before)| *answered < before) {
            later = Some((name, *answered));
        }
    }
    let highest = by_number.last_key_value().map_or(0, |(number, _)| *number);
    let least = highest.max(counted.increments.cast_signed());
    if counter < least || counter > asked {
        return Err(format!(
            "the counter is {counter}: {} of {asked} increments were answered, the last one {highest}",
            counted.increments
        ));
    }
    Ok(counted)
}
