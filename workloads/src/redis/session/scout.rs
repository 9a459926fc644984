use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use resp::{Reply, encode, parse_reply};
use vocab::time::Monotonic;

use crate::redis::link::Link;
use crate::redis::poller::Poller;
use crate::redis::start::server_after;

/// How often members are asked who the pilots are.
const CALM: Duration = Duration::from_secs(1);
/// How often while requests wait for an answer.
const URGENT: Duration = Duration::from_millis(100);
/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// Asks the members in turn who the pilots are.
#[derive(Debug)]
pub(super) struct Scout {
    servers: Vec<SocketAddr>,
    server: SocketAddr,
    link: Link,
    asked: Option<Monotonic>,
    next: Monotonic,
    input: Vec<u8>,
    /// The highest view that was heard of; what an older one says is old.
    term: u64,
}

/// Where the two pilots are, the prior one first.
pub(super) type Pilots = [SocketAddr; 2];

impl Scout {
    pub(super) fn new(servers: Vec<SocketAddr>, now: Monotonic) -> Scout {
        Scout {
            server: servers[0],
            servers,
            link: Link::Down { retry_at: now },
            asked: None,
            next: now,
            input: Vec::new(),
            term: 0,
        }
    }

    /// Has it ask soon.
    pub(super) fn hurry(&mut self, now: Monotonic) {
        self.next = self.next.min(now + URGENT);
    }

    /// Asks when it is time to; turns to the next member when one does not answer.
    pub(super) fn look_after(&mut self, now: Monotonic, poller: &Poller, name: usize) {
        let waits_too_long = self.asked.is_some_and(|asked| now.since(asked) > PATIENCE);
        let result = match self.link {
            _ if waits_too_long => Err(io::ErrorKind::TimedOut.into()),
            Link::Down { retry_at } if retry_at <= now => {
                match Link::start(self.server, now + PATIENCE, poller, name) {
                    Ok(link) => {
                        self.link = link;
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            Link::Connecting { .. } => self.link.settle(now),
            Link::Up { .. } if self.asked.is_none() && now >= self.next => self.ask(now),
            _ => Ok(()),
        };
        if result.is_err() {
            self.give_up(now);
        }
    }

    /// Reads what a member says, and goes on to the next one.
    pub(super) fn on_news(&mut self, now: Monotonic, buffer: &mut [u8]) -> Option<Pilots> {
        if self.link.settle(now).is_err() {
            self.give_up(now);
            return None;
        }
        loop {
            match self.link.read(buffer) {
                Ok([]) => return None,
                Ok(bytes) => self.input.extend_from_slice(bytes),
                Err(_) => {
                    self.give_up(now);
                    return None;
                }
            }
            if let Ok(Some((Reply::Bulk(text), _))) = parse_reply(&self.input) {
                let text = String::from_utf8_lossy(text).into_owned();
                let found = self.understand(&text);
                self.move_on(now, CALM);
                return found;
            }
        }
    }

    fn ask(&mut self, now: Monotonic) -> io::Result<()> {
        let mut request = Vec::new();
        encode::command(&mut request, [b"INFO"]);
        self.asked = Some(now);
        // So short a request fits in an idle connection whole.
        self.link.write(&request).map(|_| ())
    }

    fn understand(&mut self, info: &str) -> Option<Pilots> {
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name))?;
            line[name.len()..].strip_prefix(':')
        };
        let term = field("term")?.parse().ok()?;
        let address = |name| field(name)?.parse().ok();
        let pilots = [address("pilot_address")?, address("copilot_address")?];
        (term >= self.term).then(|| {
            self.term = term;
            pilots
        })
    }

    fn give_up(&mut self, now: Monotonic) {
        self.move_on(now, URGENT);
    }

    fn move_on(&mut self, now: Monotonic, pause: Duration) {
        self.server = server_after(&self.servers, self.server);
        self.link = Link::Down { retry_at: now };
        self.asked = None;
        self.input.clear();
        self.next = now + pause;
    }
}
