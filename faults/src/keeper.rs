use std::fmt;
use std::sync::Arc;

use node::identity::ProcessId;

/// Whoever started the servers, as `process.kill` needs them.
pub trait KeepsServers: Send + Sync {
    /// Takes note that a server is about to be ended on purpose: its end is nothing to report, and it is to be kept what
    /// starting it again takes.
    ///
    /// # Errors
    /// It is no server of theirs.
    fn expect_end(&self, server: ProcessId) -> Result<(), String>;

    /// Starts a server again that has ended as expected; `None` if there is no more use for it, because all servers are
    /// about to be ended. Blocks until it is started. Again is fine: the running one is given.
    ///
    /// # Errors
    /// It cannot be started.
    fn restart(&self, server: ProcessId) -> Result<Option<ProcessId>, String>;
}

/// A shared [`KeepsServers`].
#[derive(Clone)]
pub struct Keeper(Arc<dyn KeepsServers>);

impl Keeper {
    /// Shares it.
    pub fn new(keeper: impl KeepsServers + 'static) -> Keeper {
        Keeper(Arc::new(keeper))
    }

    pub(crate) fn get(&self) -> &dyn KeepsServers {
        &*self.0
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}
