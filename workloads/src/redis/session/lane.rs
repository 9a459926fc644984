use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use resp::{ErrorReply, Reply, encode, parse_reply, scan_reply};
use results::{ErrorKind, OpKind};
use vocab::time::Monotonic;

use super::desk::Desk;
use crate::load::{Backoff, Requests, read_value};
use crate::redis::link::{Link, patience};
use crate::redis::poller::Poller;

/// No more is encoded while that much waits to be written: a lane that lags may yet be spared it.
const UNWRITTEN: usize = 64 << 10;

/// How a session reaches one server.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) server: SocketAddr,
    link: Link,
    backoff: Backoff,
    /// Whether the server has bound this connection to the session.
    bound: bool,
    paused_until: Option<Monotonic>,
    /// What is sent and not answered: requests, or `None` for the binding itself.
    expected: VecDeque<(Option<u64>, Monotonic)>,
    window: usize,
    /// Requests from here on were not sent on this connection.
    cursor: u64,
    /// Requests to be sent once more.
    repeat: VecDeque<u64>,
    out: Vec<u8>,
    written: usize,
    /// The start of a reply whose end has not arrived.
    partial: Vec<u8>,
}

/// What a server said about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It is done; a read found this.
    Done(Option<u64>),
    /// Another server takes it: this one, if that could be read.
    Moved(Option<SocketAddr>),
    /// It is not known to be done; to be sent again.
    Again,
    /// The session is gone, and with it the knowledge of what became of its requests.
    SessionGone,
    /// It is refused for good.
    Refused(ErrorKind),
}

impl Lane {
    /// A lane to be made at `now`.
    pub(super) fn new(server: SocketAddr, clients: usize, now: Monotonic) -> Lane {
        Lane {
            server,
            link: Link::Down { retry_at: now },
            backoff: Backoff::default(),
            bound: false,
            paused_until: None,
            expected: VecDeque::new(),
            window: (2 * clients).max(16),
            cursor: 0,
            repeat: VecDeque::new(),
            out: Vec::new(),
            written: 0,
            partial: Vec::new(),
        }
    }

    /// Whether requests can be sent on it now.
    pub(super) fn is_ready(&self) -> bool {
        self.bound && self.paused_until.is_none()
    }

    /// Whether it waits for the answer to something sent longer than `timeout` ago.
    pub(super) fn is_overdue(&self, now: Monotonic, timeout: Duration) -> bool {
        let oldest = self.expected.front();
        oldest.is_some_and(|(_, sent)| now.since(*sent) > timeout)
    }

    /// Connects when it is time to, and ends a pause that is over.
    pub(super) fn look_after(
        &mut self,
        now: Monotonic,
        timeout: Duration,
        desk: &Desk,
        poller: &Poller,
        name: usize,
    ) -> io::Result<()> {
        self.paused_until.take_if(|until| *until <= now);
        match self.link {
            Link::Down { retry_at } if retry_at <= now => {
                let until = now + patience(timeout);
                self.link = Link::start(self.server, until, poller, name)?;
                Ok(())
            }
            Link::Connecting { .. } => self.settle(now, desk),
            _ => Ok(()),
        }
    }

    /// Finds out about a connection under way; one that stands is bound to the session first.
    pub(super) fn settle(&mut self, now: Monotonic, desk: &Desk) -> io::Result<()> {
        let was_up = self.link.is_up();
        self.link.settle(now)?;
        if !was_up && self.link.is_up() {
            let session = desk.session.to_string();
            match desk.generation {
                None => encode::command(&mut self.out, [b"DF.SESSION", session.as_bytes()]),
                Some(generation) => encode::command(
                    &mut self.out,
                    [
                        b"DF.SESSION",
                        session.as_bytes(),
                        generation.to_string().as_bytes(),
                    ],
                ),
            }
            self.expected.push_back((None, now));
        }
        Ok(())
    }

    /// Gives the connection up, to be made again with `server` later.
    pub(super) fn leave_for(&mut self, server: SocketAddr, now: Monotonic) {
        self.server = server;
        self.link = Link::Down {
            retry_at: now + self.backoff.fail(),
        };
        self.bound = false;
        self.paused_until = None;
        self.expected.clear();
        self.cursor = 0;
        self.repeat.clear();
        self.out.clear();
        self.written = 0;
        self.partial.clear();
    }

    /// Lets the server rest.
    pub(super) fn pause(&mut self, now: Monotonic) {
        if self.paused_until.is_none() {
            self.paused_until = Some(now + self.backoff.fail());
        }
    }

    /// Has a request sent once more.
    pub(super) fn send_again(&mut self, seq: u64) {
        if seq < self.cursor && !self.repeat.contains(&seq) {
            self.repeat.push_back(seq);
        }
    }

    /// Encodes what is pending and was not sent here, and writes what fits.
    pub(super) fn feed(
        &mut self,
        desk: &mut Desk,
        now: Monotonic,
        plain_reads: bool,
        requests: &mut Requests,
    ) -> io::Result<()> {
        if self.is_ready() {
            self.cursor = self.cursor.max(desk.below());
            while self.expected.len() < self.window && self.out.len() < UNWRITTEN {
                let seq = match self.repeat.pop_front() {
                    Some(seq) => seq,
                    None if self.cursor < desk.next() => {
                        self.cursor += 1;
                        self.cursor - 1
                    }
                    None => break,
                };
                let below = desk.below();
                let Some(pending) = desk.get(seq) else {
                    continue;
                };
                pending.asked = now;
                let request = pending.request;
                self.expected.push_back((Some(seq), now));
                let (mut first, mut second) = ([0; 20], [0; 20]);
                let (number, below) = (decimal(seq, &mut first), decimal(below, &mut second));
                let (key, value) = requests.texts(&request);
                let out = &mut self.out;
                match request.op {
                    OpKind::Write => {
                        encode::command(out, [b"DF.DO", number, below, b"SET", key, value]);
                    }
                    OpKind::Read if plain_reads => encode::command(out, [b"GET", key]),
                    OpKind::Read => encode::command(out, [b"DF.DO", number, below, b"GET", key]),
                }
            }
        }
        if self.written < self.out.len() {
            self.written += self.link.write(&self.out[self.written..])?;
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
            }
        }
        Ok(())
    }

    pub(super) fn read<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        self.link.read(buffer)
    }

    /// Takes in `bytes` and gives what was said about which request to `heard`.
    ///
    /// # Errors
    /// Bytes that are no reply, or one that nobody waits for: the connection is useless.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        desk: &mut Desk,
        mut heard: impl FnMut(&mut Desk, Option<u64>, Said),
    ) -> io::Result<()> {
        let mut joined = std::mem::take(&mut self.partial);
        let mut rest = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        let useless = |malformed| io::Error::new(io::ErrorKind::InvalidData, malformed);
        while let Some((expected, _)) = self.expected.front() {
            let Some(scanned) = scan_reply(rest).map_err(useless)? else {
                break;
            };
            let reply = &rest[..scanned.length];
            let said = match (scanned.error, expected) {
                (Some(error), None) if matches!(understand(error), Said::Refused(_)) => {
                    let text = String::from_utf8_lossy(error);
                    return Err(io::Error::other(format!("no session: {text}")));
                }
                (Some(error), _) => understand(error),
                (None, None) => {
                    if let Ok(Some((Reply::Integer(generation), _))) = parse_reply(reply) {
                        desk.generation = Some(generation.unsigned_abs());
                        self.bound = true;
                    }
                    Said::Done(None)
                }
                (None, Some(_)) => Said::Done(value(reply)),
            };
            if let Said::Done(_) = said {
                self.backoff.succeed();
            }
            heard(desk, *expected, said);
            self.expected.pop_front();
            rest = &rest[scanned.length..];
        }
        if self.expected.is_empty() && !rest.is_empty() {
            let text = "an answer that nobody asked for";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }
}

fn value(reply: &[u8]) -> Option<u64> {
    match parse_reply(reply) {
        Ok(Some((Reply::Bulk(value), _))) => Some(read_value(value)),
        _ => None,
    }
}

fn understand(error: &[u8]) -> Said {
    let text = match ErrorReply::read(error) {
        ErrorReply::Moved { address, .. } => return Said::Moved(address.parse().ok()),
        ErrorReply::ClusterDown => return Said::Again,
        ErrorReply::Other(text) => text,
    };
    match text.split(|byte| *byte == b' ').next().unwrap_or_default() {
        b"TRYAGAIN" | b"UNKNOWN" | b"MISCONF" | b"OOM" | b"BUSY" | b"LOADING" => Said::Again,
        b"NOSESSION" => Said::SessionGone,
        _ => Said::Refused(ErrorKind::Server),
    }
}

/// The digits of a number.
fn decimal(mut number: u64, place: &mut [u8; 20]) -> &[u8] {
    let mut start = place.len();
    loop {
        start -= 1;
        place[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &place[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        for (error, said) in [
            (
                "MOVED 7 127.0.0.1:1",
                Said::Moved("127.0.0.1:1".parse().ok()),
            ),
            ("CLUSTERDOWN x", Said::Again),
            ("UNKNOWN x", Said::Again),
            ("NOSESSION x", Said::SessionGone),
            ("STALE x", Said::Refused(ErrorKind::Server)),
            ("ERR x", Said::Refused(ErrorKind::Server)),
        ] {
            assert_eq!(understand(error.as_bytes()), said, "{error}");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 9, 10, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
