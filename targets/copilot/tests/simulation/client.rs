//! Clients of the test: each asks one thing at a time and writes down what it got.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use depfast::{Env, Instant, Rng, Stream};
use history::Operation;
use resp::{ErrorReply, Reply, encode, parse_reply};
use vocab::time::TrialTime;

use crate::cluster::Cluster;

/// Operations by the order of their calls. A write stands there from its call on, its outcome unknown until it is known.
pub(crate) type History = Rc<RefCell<BTreeMap<u64, Operation>>>;

pub(crate) struct Client {
    pub(crate) number: u32,
    pub(crate) cluster: Cluster,
    pub(crate) env: Env,
    pub(crate) rng: Rng,
    pub(crate) history: History,
    /// Writes that were acknowledged by replicas that knew of a later view than the first.
    pub(crate) succeeded: Rc<Cell<usize>>,
    pub(crate) keys: u64,
}

/// How a request ended.
enum Answer {
    Ok,
    Value(Option<u64>),
    /// It had no effect; perhaps another member knows better.
    Refused(Option<String>),
    Unknown,
}

impl Client {
    /// Asks at random, forever.
    pub(crate) async fn run(mut self) {
        let mut address = self.any_address();
        let mut written = 0;
        loop {
            let think = self
                .rng
                .duration(&(Duration::from_micros(100)..Duration::from_millis(12)));
            self.env.timeout("think", think).await;
            let Ok(stream) = self.cluster.sim.connect(&address) else {
                address = self.any_address();
                continue;
            };
            let asked = address.clone();
            // Some requests on one connection, then another one, perhaps to somebody else.
            if self.rng.chance(0.5) {
                address = self.any_address();
            }
            for _ in 0..10 {
                let key = self.rng.below(0..self.keys);
                let value = (self.rng.chance(0.6)).then(|| {
                    written += 1;
                    u64::from(self.number) << 32 | written
                });
                match self.ask(&stream, key, value).await {
                    Answer::Ok => {
                        let succeeded = self.cluster.knows_successor(&asked);
                        let before = self.succeeded.get();
                        self.succeeded.set(before + usize::from(succeeded));
                    }
                    Answer::Value(_) => {}
                    Answer::Refused(hint) => {
                        address = hint.unwrap_or_else(|| self.any_address());
                        break;
                    }
                    Answer::Unknown => {
                        address = self.any_address();
                        break;
                    }
                }
                let think = self
                    .rng
                    .duration(&(Duration::from_micros(100)..Duration::from_millis(12)));
                self.env.timeout("think", think).await;
            }
        }
    }

    fn any_address(&mut self) -> String {
        let ids = &self.cluster.ids;
        let choice = self.rng.below(0..ids.len() as u64);
        Cluster::client_address(ids[usize::try_from(choice).unwrap()])
    }

    /// Writes `value`, or reads.
    async fn ask(&self, stream: &Stream, key: u64, value: Option<u64>) -> Answer {
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
        // Longer than it takes to replace a pilot.
        let patience = self.cluster.nature.timing.suspicion * 3 / 2;
        let answer = self
            .env
            .within("answer", patience, exchange(stream, &request))
            .await;
        let answer = answer
            .unwrap_or(Ok(Answer::Unknown))
            .unwrap_or(Answer::Unknown);
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
            (Answer::Ok, None) | (Answer::Value(_), Some(_)) => {
                panic!("an answer to another request")
            }
        }
        answer
    }

    /// Reads every key once, from anyone.
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
        Reply::Bulk(value) => {
            Answer::Value(Some(std::str::from_utf8(value).unwrap().parse().unwrap()))
        }
        Reply::Error(text) => match ErrorReply::read(text) {
            ErrorReply::Moved { address, .. } => Answer::Refused(Some(address.to_owned())),
            ErrorReply::ClusterDown => Answer::Refused(None),
            ErrorReply::Other(text) if text.starts_with(b"UNKNOWN") => Answer::Unknown,
            ErrorReply::Other(text) => panic!("unexpected error {}", text.escape_ascii()),
        },
        other => panic!("unexpected reply {other:?}"),
    }
}
