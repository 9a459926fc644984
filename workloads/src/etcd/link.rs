use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use super::client::Client;

/// A connection that several clients share, moved on to the next member by whichever of them finds it useless first.
#[derive(Debug)]
pub(super) struct Link {
    servers: Vec<SocketAddr>,
    patience: Duration,
    at: RefCell<At>,
}

/// The member a link is connected to.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub(super) server: SocketAddr,
    pub(super) client: Client,
    /// Counts the members the link was connected to.
    generation: usize,
}

impl Link {
    /// A link that starts at the member `first` of `servers`, connected if that can be done now; else it is when it is
    /// first used.
    pub(super) async fn start(
        servers: Vec<SocketAddr>,
        first: usize,
        patience: Duration,
    ) -> (Link, Result<(), tonic::transport::Error>) {
        let server = servers[first % servers.len()];
        let (client, result) = match Client::connect(server, patience).await {
            Ok(client) => (client, Ok(())),
            Err(error) => (Client::lazy(server, patience), Err(error)),
        };
        let at = RefCell::new(At {
            server,
            client,
            generation: first,
        });
        let link = Link {
            servers,
            patience,
            at,
        };
        (link, result)
    }

    /// The member it is connected to at present.
    pub(super) fn at(&self) -> At {
        self.at.borrow().clone()
    }

    /// Goes on to the next member, unless that was done already since `found` was given.
    pub(super) fn leave(&self, found: &At) {
        let mut at = self.at.borrow_mut();
        if at.generation == found.generation {
            at.generation += 1;
            at.server = self.servers[at.generation % self.servers.len()];
            at.client = Client::lazy(at.server, self.patience);
        }
    }
}
