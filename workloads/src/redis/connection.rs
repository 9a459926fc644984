use std::net::SocketAddr;

use vocab::time::Monotonic;

use super::link::Link;
use super::pipeline::Pipeline;
use crate::load::Backoff;

/// One of the worker's connections, with the clients that share it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Where it is, or is to be, connected.
    pub(crate) server: SocketAddr,
    pub(crate) link: Link,
    pub(crate) pipeline: Pipeline,
    backoff: Backoff,
    /// Whether the last answer was a success; before that, one request at a time is sent.
    trusted: bool,
    paused_until: Option<Monotonic>,
    /// Where to go when all that was asked here is answered.
    moving_to: Option<SocketAddr>,
}

impl Connection {
    /// A connection to be made at `now`.
    pub(crate) fn new(server: SocketAddr, clients: Vec<u32>, now: Monotonic) -> Connection {
        Connection {
            server,
            link: Link::Down { retry_at: now },
            pipeline: Pipeline::new(clients),
            backoff: Backoff::default(),
            trusted: false,
            paused_until: None,
            moving_to: None,
        }
    }

    /// How many requests may be sent on it now.
    pub(crate) fn room(&self) -> usize {
        if !self.link.is_up() || self.paused_until.is_some() || self.moving_to.is_some() {
            return 0;
        }
        let limit = if self.trusted {
            self.pipeline.clients()
        } else {
            1
        };
        limit.saturating_sub(self.pipeline.in_flight())
    }

    /// Notes that a request succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.trusted = true;
        self.backoff.succeed();
    }

    /// Notes that the server answered an error: it gets some rest.
    pub(crate) fn failed(&mut self, now: Monotonic) {
        if self.paused_until.is_none() {
            self.trusted = false;
            self.paused_until = Some(now + self.backoff.fail());
        }
    }

    /// Notes that the server named another one.
    pub(crate) fn redirected(&mut self, to: SocketAddr, now: Monotonic) {
        if to == self.server {
            self.failed(now);
        } else {
            self.moving_to = Some(to);
        }
    }

    /// Ends a pause that is over.
    pub(crate) fn resume(&mut self, now: Monotonic) {
        self.paused_until.take_if(|until| *until <= now);
    }

    /// Leaves for the server that was named, once nothing is in flight here.
    pub(crate) fn move_on(&mut self, now: Monotonic) {
        if self.pipeline.in_flight() == 0
            && let Some(to) = self.moving_to
        {
            // Two servers may name each other for as long as they disagree: every move waits longer.
            self.leave_for(to, now);
        }
    }

    /// Gives up the connection, to be made again with `server` later. Requests in flight must have been abandoned.
    pub(crate) fn leave_for(&mut self, server: SocketAddr, now: Monotonic) {
        self.server = server;
        self.link = Link::Down {
            retry_at: now + self.backoff.fail(),
        };
        self.trusted = false;
        self.paused_until = None;
        self.moving_to = None;
    }
}
