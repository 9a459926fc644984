use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use resp::{ErrorReply, Malformed, Reply, encode, parse_reply, scan_reply};
use results::{ErrorKind, OpKind};
use vocab::time::Monotonic;

use crate::load::{Outcome, Request, Requests, read_value};

/// A request that was sent and not answered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InFlight {
    pub(crate) client: u32,
    pub(crate) request: Request,
    pub(crate) since: Monotonic,
    pub(crate) sent: Monotonic,
}

/// What a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Of(Outcome),
    /// Ask another server: this one, if that could be read.
    Moved(Option<SocketAddr>),
}

/// The requests and replies of one connection; does no input or output itself.
#[derive(Debug)]
pub(crate) struct Pipeline {
    clients: usize,
    idle: Vec<u32>,
    in_flight: VecDeque<InFlight>,
    /// Encoded requests; those before `written` are gone.
    out: Vec<u8>,
    written: usize,
    /// The start of a reply whose end has not arrived.
    partial: Vec<u8>,
}

impl Pipeline {
    pub(crate) fn new(clients: Vec<u32>) -> Pipeline {
        Pipeline {
            clients: clients.len(),
            idle: clients,
            in_flight: VecDeque::new(),
            out: Vec::new(),
            written: 0,
            partial: Vec::new(),
        }
    }

    /// How many clients it has.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Encodes `request` in the name of a client that has none in flight.
    ///
    /// # Panics
    /// When there is no such client.
    pub(crate) fn send(
        &mut self,
        request: Request,
        since: Monotonic,
        sent: Monotonic,
        requests: &mut Requests,
    ) {
        let client = self.idle.pop().expect("the caller looked for room");
        let (key, value) = requests.texts(&request);
        match request.op {
            OpKind::Write => encode::command(&mut self.out, [b"SET", key, value]),
            OpKind::Read => encode::command(&mut self.out, [b"GET", key]),
        }
        self.in_flight.push_back(InFlight {
            client,
            request,
            since,
            sent,
        });
    }

    /// What is to be written next.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.out[self.written..]
    }

    /// Notes that `count` bytes of it were written.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    /// Takes in `bytes` and gives each complete reply to `answered`.
    ///
    /// # Errors
    /// Bytes that are no reply, or one that nobody waits for: the connection is useless.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        mut answered: impl FnMut(InFlight, Answer),
    ) -> Result<(), Malformed> {
        let mut joined = std::mem::take(&mut self.partial);
        let mut rest = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        while let Some(flight) = self.in_flight.front() {
            let Some((length, answer)) = read_answer(rest, &flight.request)? else {
                break;
            };
            rest = &rest[length..];
            let flight = self.in_flight.pop_front().expect("it was just looked at");
            self.idle.push(flight.client);
            answered(flight, answer);
        }
        if self.in_flight.is_empty() && !rest.is_empty() {
            return Err(Malformed::Terminator);
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// Whether the oldest request waits for longer than `timeout`.
    pub(crate) fn is_overdue(&self, now: Monotonic, timeout: Duration) -> bool {
        let oldest = self.in_flight.front();
        oldest.is_some_and(|oldest| now.since(oldest.sent) > timeout)
    }

    /// Forgets the connection; gives the requests that will not be answered.
    pub(crate) fn abandon(&mut self) -> VecDeque<InFlight> {
        self.out.clear();
        self.written = 0;
        self.partial.clear();
        let lost = std::mem::take(&mut self.in_flight);
        self.idle.extend(lost.iter().map(|flight| flight.client));
        lost
    }
}

/// The answer to `request` at the front of `bytes` and its length.
fn read_answer(bytes: &[u8], request: &Request) -> Result<Option<(usize, Answer)>, Malformed> {
    let Some(scanned) = scan_reply(bytes)? else {
        return Ok(None);
    };
    let answer = match scanned.error.map(ErrorReply::read) {
        None => Answer::Of(Outcome::Ok(match request.op {
            OpKind::Write => None,
            OpKind::Read => match parse_reply(bytes)? {
                Some((Reply::Bulk(value), _)) => Some(read_value(value)),
                _ => None,
            },
        })),
        Some(ErrorReply::Moved { address, .. }) => Answer::Moved(address.parse().ok()),
        Some(ErrorReply::ClusterDown) => Answer::Of(Outcome::Failed(ErrorKind::ClusterDown)),
        Some(ErrorReply::Other(text)) => Answer::Of(Outcome::Failed(kind(text))),
    };
    Ok(Some((scanned.length, answer)))
}

fn kind(error: &[u8]) -> ErrorKind {
    let word = error.split(|byte| *byte == b' ').next().unwrap_or_default();
    match word {
        b"OOM" | b"BUSY" | b"TRYAGAIN" => ErrorKind::Overload,
        _ => ErrorKind::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Workload;

    fn answers(chunks: &[&[u8]]) -> (Vec<(u32, Answer)>, Result<(), Malformed>) {
        let workload = Workload::default();
        let mut requests = Requests::new(&workload, 1);
        let mut pipeline = Pipeline::new(vec![3, 2, 1]);
        let at = Monotonic::from_nanos(0);
        for _ in 0..3 {
            let request = requests.next();
            pipeline.send(request, at, at, &mut requests);
        }
        let mut answers = Vec::new();
        for chunk in chunks {
            let result = pipeline.receive(chunk, |flight, answer| {
                answers.push((flight.client, answer));
            });
            if result.is_err() {
                return (answers, result);
            }
        }
        (answers, Ok(()))
    }

    #[test]
    fn answers_go_to_their_clients_however_they_are_cut() {
        let wire = b"+OK\r\n-MOVED 5 127.0.0.1:7002\r\n-CLUSTERDOWN no leader\r\n";
        let expected = vec![
            (1, Answer::Of(Outcome::Ok(None))),
            (2, Answer::Moved("127.0.0.1:7002".parse().ok())),
            (3, Answer::Of(Outcome::Failed(ErrorKind::ClusterDown))),
        ];
        for cut in 0..wire.len() {
            let (head, tail) = wire.split_at(cut);
            assert_eq!(answers(&[head, tail]), (expected.clone(), Ok(())));
        }
    }

    #[test]
    fn what_nobody_asked_for_is_refused() {
        assert!(answers(&[b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n"]).1.is_err());
        assert!(answers(&[b"HTTP/1.1 400\r\n"]).1.is_err());
    }

    #[test]
    fn requests_are_written_once() {
        let mut requests = Requests::new(&Workload::default(), 1);
        let mut pipeline = Pipeline::new(vec![1]);
        let at = Monotonic::from_nanos(0);
        let request = requests.next();
        pipeline.send(request, at, at, &mut requests);
        let length = pipeline.unwritten().len();
        pipeline.wrote(5);
        assert_eq!(pipeline.unwritten().len(), length - 5);
        pipeline.wrote(length - 5);
        assert!(pipeline.unwritten().is_empty());
        assert_eq!(pipeline.abandon().len(), 1);
        assert_eq!(pipeline.in_flight(), 0);
    }
}
