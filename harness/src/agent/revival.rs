//! Servers that a fault ends and the agent starts again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as sync_mpsc};

use faults::KeepsServers;
use node::identity::ProcessId;
use tokio::sync::mpsc;

use super::machine::Machine;
use super::serve::Agent;

/// A fault asks to start a server again. Done by the agent's main thread: what it starts ends with the thread that did.
pub(super) struct Revival {
    pid: i32,
    reply: sync_mpsc::Sender<Result<i32, String>>,
}

/// The agent's side: which servers may end, and the requests to start them again.
pub(super) struct Revivals {
    expected: Expected,
    sender: mpsc::UnboundedSender<Revival>,
    receiver: mpsc::UnboundedReceiver<Revival>,
}

/// Servers whose end is expected, by process number.
#[derive(Clone, Default)]
struct Expected(Arc<Mutex<BTreeSet<i32>>>);

impl Expected {
    fn set(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Revivals {
    fn default() -> Revivals {
        let (sender, receiver) = mpsc::unbounded_channel();
        Revivals {
            expected: Expected::default(),
            sender,
            receiver,
        }
    }
}

impl Revivals {
    /// What faults are told.
    pub(super) fn keeper(&self) -> faults::Keeper {
        faults::Keeper::new(Servers {
            expected: self.expected.clone(),
            sender: self.sender.clone(),
        })
    }

    /// The next request.
    pub(super) async fn next(&mut self) -> Revival {
        match self.receiver.recv().await {
            Some(revival) => revival,
            None => std::future::pending().await,
        }
    }

    /// Whether this server's end was expected.
    pub(super) fn expects(&self, pid: i32) -> bool {
        self.expected.set().contains(&pid)
    }
}

impl Agent {
    /// Starts a server again as it was started first.
    pub(super) fn revive(&mut self, revival: &Revival) {
        let pid = revival.pid;
        let machine = self.machine.as_ref().map(Machine::ground);
        let revived = match machine {
            Some(ground) => self.processes.revive(pid, ground),
            None => Err("this node is not prepared".to_owned()),
        };
        self.revivals.expected.set().remove(&pid);
        // A fault that does not wait any more has gone.
        let _gone = revival.reply.send(revived);
    }
}

struct Servers {
    expected: Expected,
    sender: mpsc::UnboundedSender<Revival>,
}

impl KeepsServers for Servers {
    fn expect_end(&self, server: ProcessId) -> Result<(), String> {
        self.expected.set().insert(server.pid);
        Ok(())
    }

    fn restart(&self, server: ProcessId) -> Result<Option<ProcessId>, String> {
        let (reply, revived) = sync_mpsc::channel();
        let pid = server.pid;
        // Neither is heard by an agent that is leaving: it ends all servers.
        if self.sender.send(Revival { pid, reply }).is_err() {
            return Ok(None);
        }
        match revived.recv() {
            Ok(pid) => ProcessId::of(pid?).map_err(|error| error.to_string()),
            Err(_) => Ok(None),
        }
    }
}
