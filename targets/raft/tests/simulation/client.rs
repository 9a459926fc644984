//! Clients of the test: each asks one thing at a time and writes down what it got.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use depfast::{Env, Instant, Rng, Stream};
use depfast_raft::ReplicaId;
use history::Operation;
use resp::{ErrorReply, Reply, encode, parse_reply};
use vocab::time::TrialTime;

use crate::cluster::Cluster;

/// Longer than an election, so that a client sees leaders change.
const PATIENCE: Duration = Duration::from_millis(700);

/// Operations by the order of their calls. A write stands there from its call on, its outcome unknown until it is known.
pub(crate) type History = Rc<RefCell<BTreeMap<u64, Operation>>>;

pub(crate) struct Client {
    pub(crate) number: u32,
    pub(crate) cluster: Cluster,
    pub(crate) env: Env,
    pub(crate) rng: Rng,
    pub(crate) history: History,
    pub(crate) keys: u64,
}

/// How a request ended.
pub(crate) enum Answer {
    Ok,
    Value(Option<u64>),
    /// The session is open, in this generation.
    Opened(u64),
    /// It had no effect; perhaps another member knows better.
    Refused(Option<String>),
    Unknown,
}

/// What makes a client's writes take effect exactly once, however often it sends them.
#[derive(Default)]
struct Session {
    generation: Option<u64>,
    seq: u64,
    /// A write without an answer, to be sent until there is one.
    pending: Option<Pending>,
}

#[derive(Clone, Copy)]
struct Pending {
    place: u64,
    invoked: TrialTime,
    key: u64,
    value: u64,
}

impl Client {
    /// A client with a history of its own.
    pub(crate) fn of(cluster: &Cluster, number: u32) -> Self {
        Self {
            number,
            cluster: cluster.clone(),
            env: cluster.sim.env(),
            rng: cluster.sim.rng(),
            history: History::default(),
            keys: 1,
        }
    }

    /// Asks at random, forever.
    pub(crate) async fn run(mut self) {
        let mut address = self.any_address();
        let mut written = 0;
        let mut session = self.rng.chance(0.5).then(Session::default);
        loop {
            self.think().await;
            let Ok(stream) = self.cluster.sim.connect(&address) else {
                address = self.any_address();
                continue;
            };
            // Some requests on one connection, then another one, perhaps to somebody else.
            if self.rng.chance(0.5) {
                address = self.any_address();
            }
            if let Some(session) = &mut session
                && let Some(next) = self.resume(&stream, session).await
            {
                address = next.unwrap_or_else(|| self.any_address());
                continue;
            }
            for _ in 0..10 {
                let key = self.rng.below(0..self.keys);
                let value = (self.rng.chance(0.6)).then(|| {
                    written += 1;
                    u64::from(self.number) << 32 | written
                });
                let answer = match (&mut session, value) {
                    (Some(session), Some(value)) => {
                        session.seq += 1;
                        session.pending = Some(self.begin(key, value));
                        self.insist(&stream, session).await
                    }
                    _ => self.ask(&stream, key, value).await,
                };
                match answer {
                    Answer::Ok | Answer::Value(_) | Answer::Opened(_) => {}
                    Answer::Refused(hint) => {
                        address = hint.unwrap_or_else(|| self.any_address());
                        break;
                    }
                    Answer::Unknown => {
                        address = self.any_address();
                        break;
                    }
                }
                self.think().await;
            }
        }
    }

    async fn think(&mut self) {
        let think = self
            .rng
            .duration(&(Duration::from_micros(100)..Duration::from_millis(8)));
        self.env.timeout("think", think).await;
    }

    /// Opens the session on a new connection and sends what has no answer yet; says where to go on if that fails.
    async fn resume(&self, stream: &Stream, session: &mut Session) -> Option<Option<String>> {
        let mut open = vec!["DF.SESSION".to_owned(), (self.number + 1).to_string()];
        open.extend(session.generation.map(|generation| generation.to_string()));
        match self.within_patience(stream, &command(&open)).await {
            Answer::Opened(generation) => session.generation = Some(generation),
            Answer::Refused(hint) => return Some(hint),
            _ => return Some(None),
        }
        session.pending?;
        match self.insist(stream, session).await {
            Answer::Ok => None,
            Answer::Refused(hint) => Some(hint),
            _ => Some(None),
        }
    }

    /// Notes a write as begun, its outcome unknown.
    fn begin(&self, key: u64, value: u64) -> Pending {
        let invoked = moment(self.env.now());
        let mut history = self.history.borrow_mut();
        let place = history.last_key_value().map_or(0, |(place, _)| place + 1);
        let unknown = Operation::unknown_write(self.number, key, value);
        history.insert(place, unknown.took(invoked, invoked));
        Pending {
            place,
            invoked,
            key,
            value,
        }
    }

    /// Sends the pending write of a session. Only an answer that it was done settles it: it may have been done before.
    async fn insist(&self, stream: &Stream, session: &mut Session) -> Answer {
        let Pending {
            place,
            invoked,
            key,
            value,
        } = session.pending.unwrap();
        let seq = session.seq.to_string();
        let words = [
            "DF.DO",
            &seq,
            &seq,
            "SET",
            &key.to_string(),
            &value.to_string(),
        ];
        let answer = self.within_patience(stream, &command(&words)).await;
        if matches!(answer, Answer::Ok) {
            let done = Operation::write(self.number, key, value);
            let done = done.took(invoked, moment(self.env.now()));
            self.history.borrow_mut().insert(place, done);
            session.pending = None;
        }
        answer
    }

    async fn within_patience(&self, stream: &Stream, request: &[u8]) -> Answer {
        let answer = self
            .env
            .within("answer", PATIENCE, exchange(stream, request))
            .await;
        answer
            .unwrap_or(Ok(Answer::Unknown))
            .unwrap_or(Answer::Unknown)
    }

    fn any_address(&mut self) -> String {
        let ids = &self.cluster.ids;
        let choice = self.rng.below(0..ids.len() as u64);
        Cluster::client_address(ids[usize::try_from(choice).unwrap()])
    }

    /// Writes `value`, or reads.
    pub(crate) async fn ask(&self, stream: &Stream, key: u64, value: Option<u64>) -> Answer {
        let invoked = moment(self.env.now());
        let place = self
            .history
            .borrow()
            .last_key_value()
            .map_or(0, |(place, _)| place + 1);
        let note = |place: u64, operation: Operation| {
            let operation = operation.took(invoked, moment(self.env.now()));
            self.history.borrow_mut().insert(place, operation);
        };
        if let Some(value) = value {
            // The client may be gone before the answer comes.
            note(place, Operation::unknown_write(self.number, key, value));
        }
        let request = request(key, value);
        let answer = self.within_patience(stream, &request).await;
        match (&answer, value) {
            (Answer::Ok, Some(value)) => note(place, Operation::write(self.number, key, value)),
            (Answer::Refused(_), Some(_)) => {
                self.history.borrow_mut().remove(&place);
            }
            (Answer::Value(found), None) => {
                let end = self
                    .history
                    .borrow()
                    .last_key_value()
                    .map_or(0, |(place, _)| place + 1);
                note(end, Operation::read(self.number, key, *found));
            }
            (Answer::Unknown, _) | (Answer::Refused(_), None) => {}
            (Answer::Ok, None) | (Answer::Value(_), Some(_)) | (Answer::Opened(_), _) => {
                panic!("an answer to another request")
            }
        }
        answer
    }

    /// Has whoever leads now change the members: takes `id` in, or lets it go.
    pub(crate) async fn change_members(self, leader: ReplicaId, id: ReplicaId) -> bool {
        let Ok(stream) = self.cluster.sim.connect(&Cluster::client_address(leader)) else {
            return false;
        };
        let mut words = vec!["DF.MEMBER".to_owned()];
        if self.cluster.is_member(leader, id) {
            words.extend(["REMOVE".to_owned(), id.0.to_string()]);
        } else {
            let client = Cluster::client_address(id);
            words.extend([
                "ADD".to_owned(),
                id.0.to_string(),
                Cluster::peer_address(id),
                client,
            ]);
        }
        let mut input = BytesMut::new();
        let sent = stream.write_all(&command(&words)).await;
        // It may be refused for good reasons: another change is under way, or somebody else leads.
        while sent.is_ok() && matches!(stream.read(&mut input).await, Ok(1..)) {
            if let Ok(Some((reply, _))) = parse_reply(&input) {
                return matches!(reply, Reply::Simple(b"OK"));
            }
        }
        false
    }

    /// Reads every key once, from whoever leads.
    pub(crate) async fn read_all(mut self) {
        for key in 0..self.keys {
            loop {
                let address = self.any_address();
                if let Ok(stream) = self.cluster.sim.connect(&address)
                    && let Answer::Value(_) = self.ask(&stream, key, None).await
                {
                    break;
                }
                self.env.timeout("retry", Duration::from_millis(10)).await;
            }
        }
    }
}

fn moment(at: Instant) -> TrialTime {
    TrialTime::from_nanos(i64::try_from(at.as_nanos()).unwrap())
}

fn command<T: AsRef<str>>(words: &[T]) -> BytesMut {
    let mut out = BytesMut::new();
    encode::array(&mut out, words.len());
    for word in words {
        encode::bulk(&mut out, word.as_ref().as_bytes());
    }
    out
}

fn request(key: u64, value: Option<u64>) -> BytesMut {
    let (key, mut out) = (key.to_string(), BytesMut::new());
    match value {
        Some(value) => encode::command(
            &mut out,
            [b"SET", key.as_bytes(), value.to_string().as_bytes()],
        ),
        None => encode::command(&mut out, [b"GET", key.as_bytes()]),
    }
    out
}

async fn exchange(stream: &Stream, request: &[u8]) -> io::Result<Answer> {
    stream.write_all(request).await?;
    let mut input = BytesMut::new();
    loop {
        if stream.read(&mut input).await? == 0 {
            return Ok(Answer::Unknown);
        }
        if let Some((reply, _)) = parse_reply(&input).map_err(io::Error::other)? {
            return Ok(understand(&reply));
        }
    }
}

fn understand(reply: &Reply<'_>) -> Answer {
    match reply {
        Reply::Simple(b"OK") => Answer::Ok,
        Reply::Nil => Answer::Value(None),
        Reply::Integer(generation) => Answer::Opened(u64::try_from(*generation).unwrap()),
        Reply::Bulk(value) => {
            Answer::Value(Some(std::str::from_utf8(value).unwrap().parse().unwrap()))
        }
        Reply::Error(text) => match ErrorReply::read(text) {
            ErrorReply::Moved { address, .. } => Answer::Refused(Some(address.to_owned())),
            ErrorReply::ClusterDown => Answer::Refused(None),
            ErrorReply::Other(text) if text.starts_with(b"UNKNOWN") => Answer::Unknown,
            ErrorReply::Other(text)
                if text.starts_with(b"TRYAGAIN") || text.starts_with(b"MISCONF") =>
            {
                Answer::Refused(None)
            }
            ErrorReply::Other(text) => panic!("unexpected error {}", text.escape_ascii()),
        },
        other => panic!("unexpected reply {other:?}"),
    }
}
