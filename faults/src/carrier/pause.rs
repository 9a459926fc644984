use nix::sys::signal::Signal;
use node::identity::ProcessId;
use node::journal::{Journal, Undo};

use super::Carrier;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::reading::Reading;
use crate::servers::{Servers, wait_until_stopped};
use crate::standing::Standing;

const FAULT: &str = "process.pause";

/// Server processes stopped throughout.
pub(super) struct Pause {
    servers: Servers,
    journal: Journal,
    standing: Standing,
}

impl Pause {
    pub(super) fn new(context: &FaultContext) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        Ok(Pause {
            servers,
            journal: context.journal.clone(),
            standing: Standing::default(),
        })
    }

    fn stop(&mut self, process: ProcessId) -> Result<(), FaultError> {
        let entry = self.journal.record(Undo::Resume { process })?;
        self.standing.add(entry);
        process
            .signal(Signal::SIGSTOP)
            .map_err(FaultError::system(format!("stop {process}")))?;
        Ok(())
    }
}

impl Carrier for Pause {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        let mut stopped: Vec<ProcessId> = Vec::new();
        // A stopped process forks no more, so this ends once all are.
        loop {
            let mut all = self.servers.all();
            all.retain(|process| !stopped.contains(process));
            if all.is_empty() {
                break;
            }
            for process in &all {
                self.stop(*process)?;
            }
            wait_until_stopped(&all);
            stopped.extend(all);
        }
        Ok(format!("{} server processes stopped", stopped.len()))
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        Ok(vec![self.servers.alive(), self.servers.stopped()])
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.standing.undo()
    }
}
