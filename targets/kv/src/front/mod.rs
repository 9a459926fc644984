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

use depfast::Env;
use depfast::env::Addresses;

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
    /// Where clients reach each member, for redirections.
    pub addresses: Addresses,
    /// What one client may ask for.
    pub limits: Limits,
}

/// What the connections of one front end share.
struct Shared {
    front: Front,
    flusher: Flusher,
    connections: Cell<usize>,
}

impl Front {
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
