//! How connections come about.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use vocab::time::Monotonic;

use super::connection::Connection;
use super::driver::CARE;
use super::link::{Link, patience};
use super::poller::Poller;
use crate::clock;
use crate::job::LoadJob;
use crate::worker::LoadError;

/// How long the first connections may take.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(5);

/// The connections, with the clients dealt out to them.
pub(super) fn connections(job: &LoadJob) -> Vec<Connection> {
    let count = job.workload.connections.get();
    let clients = job.workload.clients.get();
    let now = clock::now();
    (0..count)
        .map(|index| {
            let clients = (index..clients).step_by(count as usize).collect();
            Connection::new(job.servers[0], clients, now)
        })
        .collect()
}

/// Makes the first connections; gives how many there are when all are made or the time is over.
pub(super) fn connect(
    connections: &mut [Connection],
    job: &LoadJob,
    poller: &mut Poller,
) -> Result<u32, LoadError> {
    let give_up = clock::now() + START_PATIENCE;
    let mut failure = None;
    let mut names = Vec::new();
    loop {
        let now = clock::now();
        for (name, connection) in connections.iter_mut().enumerate() {
            if let Err(error) = look_after_link(connection, name, now, job, poller) {
                let next = server_after(&job.servers, connection.server);
                failure = Some((connection.server, error));
                connection.leave_for(next, now);
            }
        }
        let up = connections.iter().filter(|one| one.link.is_up()).count();
        if up == connections.len() || (now >= give_up && up > 0) {
            return Ok(up as u32);
        }
        if now >= give_up {
            return Err(LoadError::Unreachable {
                servers: job.servers.clone(),
                failure: failure.map(|(server, error)| format!("{server}: {error}")),
            });
        }
        names.clear();
        poller.wait(CARE, &mut names)?;
    }
}

/// Starts a connection that is due, and finds out about one under way.
pub(super) fn look_after_link(
    connection: &mut Connection,
    name: usize,
    now: Monotonic,
    job: &LoadJob,
    poller: &Poller,
) -> io::Result<()> {
    match connection.link {
        Link::Down { retry_at } if retry_at <= now => {
            let until = now + patience(job.workload.timeout.duration());
            connection.link = Link::start(connection.server, until, poller, name)?;
            Ok(())
        }
        Link::Connecting { .. } => connection.link.settle(now),
        _ => Ok(()),
    }
}

/// The server after `server` in the list; the first if it is not in it.
pub(super) fn server_after(servers: &[SocketAddr], server: SocketAddr) -> SocketAddr {
    let index = servers.iter().position(|one| *one == server);
    servers[index.map_or(0, |index| (index + 1) % servers.len())]
}
