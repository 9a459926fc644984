//! The Redis protocol in front of a replica.

mod commands;
mod connection;
mod flush;
mod info;
mod limits;
mod ticket;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use depfast::env::Addresses;
use depfast::{Env, NodeId};

use crate::replica::Replica;
use connection::Connection;
use flush::Flusher;
pub use limits::Limits;
pub use ticket::Ticket;

/// After a failed accept (out of descriptors, most likely) the listener rests this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The clients' side of one replica.
pub struct Front {
    /// The environment.
    pub env: Env,
    /// The replica that serves the requests.
    pub replica: Rc<dyn Replica>,
    /// Where clients reach each member, for redirections; what the replica itself knows of its members goes before.
    pub addresses: Addresses,
    /// What one client may ask for.
    pub limits: Limits,
}

/// What the connections of one front end share.
struct Shared {
    front: Front,
    flusher: Flusher,
    connections: Cell<usize>,
    /// Numbers the connections.
    accepted: Cell<i64>,
}

impl Front {
    /// Where clients reach a member.
    fn address(&self, member: NodeId) -> Option<String> {
        let members = self.replica.members();
        let known = members.into_iter().find(|known| known.id == member);
        known.map_or_else(
            || self.addresses.get(&member).cloned(),
            |known| Some(known.client),
        )
    }

    /// The members and where clients reach them.
    fn members(&self) -> Addresses {
        match self.replica.members() {
            known if known.is_empty() => self.addresses.clone(),
            known => known.into_iter().map(|one| (one.id, one.client)).collect(),
        }
    }

    /// Listens at `address` and serves clients from then on, in the background. Returns the address it listens at.
    ///
    /// # Errors
    ///
    /// Fails if the address is not available.
    pub async fn serve(self, address: &str) -> io::Result<String> {
        let env = self.env.clone();
        let listener = env.listen(address).await?;
        let bound = listener.address();
        let shared = Rc::new(Shared {
            flusher: Flusher::new(&env),
            front: self,
            connections: Cell::new(0),
            accepted: Cell::new(0),
        });
        let flushing = Rc::clone(&shared);
        env.spawn(async move { flushing.flusher.run().await });
        env.clone().spawn(async move {
            loop {
                match listener.accept().await {
                    Ok(stream) => connection::start(&shared, stream),
                    Err(_) => env.timeout("accept pause", ACCEPT_PAUSE).await,
                }
            }
        });
        Ok(bound)
    }
}
