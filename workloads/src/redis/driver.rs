use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use results::ErrorKind;
use vocab::time::Monotonic;

use super::connection::Connection;
use super::pipeline::{Answer, InFlight};
use super::poller::Poller;
use super::start::{connect, connections, look_after_link, server_after};
use crate::clock;
use crate::job::LoadJob;
use crate::load::{Due, Moments, Outcome, Pace, Recorder, Reporter, Requests};
use crate::report::LoadReport;
use crate::worker::LoadError;

/// How often connections are looked after: made again, given up, their pauses ended.
pub(super) const CARE: Duration = Duration::from_millis(5);

pub(super) const READ_BYTES: usize = 64 << 10;

/// Makes the load of `job` until it is over.
pub(crate) fn run(job: &LoadJob, reporter: &Rc<Reporter>) -> Result<(), LoadError> {
    let mut poller = Poller::new()?;
    let mut connections = connections(job);
    let connected = connect(&mut connections, job, &mut poller)?;
    reporter.send(LoadReport::Ready { connected });
    let recorder = Recorder::start(job, reporter.clone());
    let workload = &job.workload;
    let timeout = workload.timeout.duration();
    let load = Load {
        job,
        timeout,
        pace: Pace::new(&workload.mode, recorder.start_moment(), job.seed, timeout),
        requests: Requests::new(workload, job.seed),
        recorder,
        leader: None,
        turn: 0,
    };
    load.run(&mut connections, &mut poller)
}

struct Load<'j> {
    job: &'j LoadJob,
    timeout: Duration,
    pace: Pace,
    requests: Requests,
    recorder: Recorder,
    /// Where the servers say the leader is.
    leader: Option<SocketAddr>,
    /// Open loop: the connection whose turn it is.
    turn: usize,
}

impl Load<'_> {
    fn run(mut self, connections: &mut [Connection], poller: &mut Poller) -> Result<(), LoadError> {
        let mut buffer = vec![0; READ_BYTES];
        let mut names = Vec::new();
        let mut next_care = clock::now();
        loop {
            let now = clock::now();
            self.recorder.advance(now);
            if self.recorder.is_over() {
                break;
            }
            if now >= next_care {
                next_care = now + CARE;
                for (name, connection) in connections.iter_mut().enumerate() {
                    self.look_after(connection, name, now, poller);
                }
                self.drop_overdue(now);
            }
            if let Some(next) = self.pace.next() {
                self.deal_out(connections, now);
                if next > now {
                    poller.set_alarm(next)?;
                }
            }
            let wake = next_care.min(self.recorder.next_cut());
            names.clear();
            poller.wait(wake.since(clock::now()), &mut names)?;
            for name in &names {
                self.on_news(&mut connections[*name], &mut buffer);
            }
        }
        let now = clock::now();
        for connection in connections {
            for flight in connection.pipeline.abandon() {
                self.recorder
                    .left_behind(flight.client, &flight.request, flight.sent, now);
            }
        }
        self.recorder.finish(self.job);
        Ok(())
    }

    fn look_after(
        &mut self,
        connection: &mut Connection,
        name: usize,
        now: Monotonic,
        poller: &Poller,
    ) {
        if let Err(error) = look_after_link(connection, name, now, self.job, poller) {
            self.lose(connection, now, &error);
        } else if connection.pipeline.is_overdue(now, self.timeout) {
            let error = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
            self.lose(connection, now, &error);
        } else {
            connection.resume(now);
            connection.move_on(now);
            self.go_on(connection, now);
        }
    }

    /// Reads what arrived on a connection, and sends what its clients ask next.
    fn on_news(&mut self, connection: &mut Connection, buffer: &mut [u8]) {
        if let Err(error) = connection.link.settle(clock::now()) {
            self.lose(connection, clock::now(), &error);
            return;
        }
        loop {
            let full = buffer.len();
            let received = connection.link.read(buffer);
            let now = clock::now();
            self.recorder.advance(now);
            let read = match received {
                Ok(bytes) => self.take_in(connection, bytes, now).map(|()| bytes.len()),
                Err(error) => Err(error),
            };
            match read {
                Ok(count) if count == full => {}
                Ok(_) => return self.go_on(connection, now),
                Err(error) => return self.lose(connection, now, &error),
            }
        }
    }

    fn take_in(
        &mut self,
        connection: &mut Connection,
        bytes: &[u8],
        now: Monotonic,
    ) -> io::Result<()> {
        let (mut succeeded, mut failed, mut moved) = (false, false, None);
        let recorder = &mut self.recorder;
        let result = connection.pipeline.receive(bytes, |flight, answer| {
            let outcome = match answer {
                Answer::Of(outcome) => outcome,
                Answer::Moved(to) => {
                    moved = Some(to);
                    Outcome::Failed(ErrorKind::Redirect)
                }
            };
            match outcome {
                Outcome::Ok(_) => succeeded = true,
                Outcome::Failed(_) => failed = true,
            }
            record(recorder, &flight, now, outcome);
        });
        match moved {
            Some(Some(to)) => self.redirect(connection, to, now),
            Some(None) => {
                let next = server_after(&self.job.servers, connection.server);
                connection.redirected(next, now);
            }
            None if failed => connection.failed(now),
            None if succeeded => connection.succeeded(),
            None => {}
        }
        result.map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))
    }

    fn redirect(&mut self, connection: &mut Connection, to: SocketAddr, now: Monotonic) {
        if self.leader != Some(to) {
            self.leader = Some(to);
            let detail = format!("from {} to {to}", connection.server);
            self.recorder.redirected(now, detail);
        }
        connection.redirected(to, now);
    }

    /// Closed loop: has every idle client of the connection send its next request. Writes what is to be written.
    fn go_on(&mut self, connection: &mut Connection, now: Monotonic) {
        if matches!(self.pace, Pace::Closed) && !self.recorder.is_over() {
            for _ in 0..connection.room() {
                let request = self.requests.next();
                connection
                    .pipeline
                    .send(request, now, now, &mut self.requests);
            }
        }
        self.flush(connection, now);
    }

    /// Open loop: sends the requests that are due, over the connections in turn; those of one connection together.
    fn deal_out(&mut self, connections: &mut [Connection], now: Monotonic) {
        let mut dealt = BTreeSet::new();
        while let Some(place) = self.next_with_room(connections, now) {
            self.turn = (place + 1) % connections.len();
            let request = self.requests.next();
            match self.pace.take(now) {
                Some(Due::Send { since, late }) => {
                    if late {
                        self.recorder.late(request.op);
                    }
                    let pipeline = &mut connections[place].pipeline;
                    pipeline.send(request, since, now, &mut self.requests);
                    dealt.insert(place);
                }
                Some(Due::Drop) => self.recorder.dropped(request.op),
                None => break,
            }
        }
        for place in dealt {
            self.flush(&mut connections[place], now);
        }
    }

    /// Who sends the next request, if one is due.
    fn next_with_room(&self, connections: &[Connection], now: Monotonic) -> Option<usize> {
        self.pace.next().filter(|next| *next <= now)?;
        let mut places = (self.turn..connections.len()).chain(0..self.turn);
        places.find(|place| connections[*place].room() > 0)
    }

    /// Open loop: gives up the requests that waited for a free client for too long.
    fn drop_overdue(&mut self, now: Monotonic) {
        while self.pace.is_overdue(now) {
            self.pace.take(now);
            let request = self.requests.next();
            self.recorder.dropped(request.op);
        }
    }

    fn flush(&mut self, connection: &mut Connection, now: Monotonic) {
        let unwritten = connection.pipeline.unwritten();
        if unwritten.is_empty() {
            return;
        }
        match connection.link.write(unwritten) {
            Ok(count) => connection.pipeline.wrote(count),
            Err(error) => self.lose(connection, now, &error),
        }
    }

    /// Gives up a connection: its requests failed, their outcome is unknown.
    fn lose(&mut self, connection: &mut Connection, now: Monotonic, error: &io::Error) {
        self.recorder.advance(now);
        let timeout = self.timeout;
        for flight in connection.pipeline.abandon() {
            let kind = match error.kind() {
                io::ErrorKind::InvalidData => ErrorKind::Protocol,
                _ if now.since(flight.sent) > timeout => ErrorKind::Timeout,
                _ => ErrorKind::Connection,
            };
            record(&mut self.recorder, &flight, now, Outcome::Failed(kind));
        }
        let server = connection.server;
        self.recorder
            .connection_lost(now, || format!("{server}: {error}"));
        self.leader.take_if(|leader| *leader == server);
        let next = self
            .leader
            .unwrap_or_else(|| server_after(&self.job.servers, server));
        connection.leave_for(next, now);
    }
}

fn record(recorder: &mut Recorder, flight: &InFlight, now: Monotonic, outcome: Outcome) {
    let moments = Moments {
        since: flight.since,
        sent: flight.sent,
        now,
    };
    recorder.record(flight.client, &flight.request, moments, outcome);
}
