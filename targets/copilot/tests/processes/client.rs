//! A blocking client, and what it saw.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use history::Operation;
use resp::{Reply, encode, parse_reply};
use vocab::time::TrialTime;

/// Longer than it takes to replace a pilot on a busy machine; a request that is not answered by then has an unknown
/// outcome.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Self {
            stream,
            input: Vec::new(),
        })
    }

    /// The answer as text; `None` if there is none.
    pub(crate) fn ask(&mut self, words: &[&str]) -> Option<String> {
        let mut out = Vec::new();
        encode::array(&mut out, words.len());
        for word in words {
            encode::bulk(&mut out, word.as_bytes());
        }
        self.stream.write_all(&out).ok()?;
        loop {
            if let Some((reply, length)) = parse_reply(&self.input).unwrap() {
                let text = text(&reply);
                self.input.drain(..length);
                return Some(text);
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }
}

fn text(reply: &Reply<'_>) -> String {
    match reply {
        Reply::Simple(text) | Reply::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Error(text) => format!("-{}", String::from_utf8_lossy(text)),
        Reply::Nil => "nil".into(),
        Reply::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// Writes and reads in turn until `is_over`, at one replica as long as it answers.
pub(crate) fn work(
    number: u32,
    addresses: &[String],
    start: Instant,
    is_over: impl Fn() -> bool,
) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut turn = number as usize;
    let mut written = 0;
    let now = || TrialTime::from_nanos(start.elapsed().as_nanos() as i64);
    while !is_over() {
        let Some(mut client) = Client::connect(&addresses[turn % addresses.len()]) else {
            turn += 1;
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        while !is_over() {
            written += 1;
            let key = written % 4;
            let name = format!("h{key}");
            let value = u64::from(number) << 32 | written;
            let invoked = now();
            let operation = if written % 3 == 0 {
                let answer = client.ask(&["GET", &name]);
                answer.map(|answer| Operation::read(number, key, answer.parse().ok()))
            } else {
                let answer = client.ask(&["SET", &name, &value.to_string()]);
                Some(match answer.as_deref() {
                    Some("OK") => Operation::write(number, key, value),
                    // It may have been executed in the snapshot that the replica got.
                    None => Operation::unknown_write(number, key, value),
                    Some(text) if text.starts_with("-UNKNOWN") => {
                        Operation::unknown_write(number, key, value)
                    }
                    Some(other) => panic!("unexpected answer {other}"),
                })
            };
            let answered =
                operation.is_some_and(|operation| operation.output != history::Output::Unknown);
            operations.extend(operation.map(|operation| operation.took(invoked, now())));
            if !answered {
                turn += 1;
                break;
            }
            // Enough to be in the way of every fault, few enough to be checked.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    operations
}
