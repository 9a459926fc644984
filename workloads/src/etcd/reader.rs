use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::client::Client;
use crate::load::read_value;
use crate::read_back::ReadOne;

/// One silent member must not use up the time for all.
const LONGEST: Duration = Duration::from_secs(1);

/// Reads values one by one, from the next member after a failure.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    servers: &'s [SocketAddr],
    at: usize,
    client: Client,
    runtime: Runtime,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(servers: &'s [SocketAddr]) -> io::Result<Reader<'s>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = {
            let _inside = runtime.enter();
            Client::lazy(servers[0], LONGEST)
        };
        Ok(Reader {
            servers,
            at: 0,
            client,
            runtime,
        })
    }
}

impl ReadOne for Reader<'_> {
    fn read_one(&mut self, key: &[u8], limit: Duration) -> Result<Option<u64>, String> {
        let Reader {
            runtime, client, ..
        } = self;
        let limit = limit.min(LONGEST);
        let answer = runtime.block_on(async { timeout(limit, client.get(key.to_vec())).await });
        let failure = match answer {
            Ok(Ok(value)) => return Ok(value.as_deref().map(read_value)),
            Ok(Err(status)) => status.message().to_owned(),
            Err(_) => format!("no answer within {limit:?}"),
        };
        let server = self.servers[self.at];
        self.at = (self.at + 1) % self.servers.len();
        let _inside = self.runtime.enter();
        self.client = Client::lazy(self.servers[self.at], LONGEST);
        Err(format!("{server}: {failure}"))
    }
}
