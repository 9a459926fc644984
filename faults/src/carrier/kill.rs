use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use node::identity::ProcessId;

use super::Carrier;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::keeper::Keeper;
use crate::reading::{Probe, Reading};
use crate::servers::{Servers, has_ended};
use crate::spec::ProcessKill;

const FAULT: &str = "process.kill";

/// How long a server may take to end that was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Servers ended, and started again by whoever started them first.
pub(super) struct Kill {
    spec: ProcessKill,
    servers: Servers,
    keeper: Keeper,
    killed: Vec<ProcessId>,
    restarts: Option<Restarts>,
    count: usize,
}

/// Servers that are started again after a while, or at once when this value is finished.
struct Restarts {
    now: Sender<()>,
    thread: JoinHandle<Result<Vec<ProcessId>, String>>,
}

impl Kill {
    pub(super) fn new(spec: &ProcessKill, context: &FaultContext) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        let keeper = context
            .keeper
            .clone()
            .ok_or_else(|| FaultError::Unavailable {
                fault: FAULT,
                reason: "nobody here could start the server again".to_owned(),
            })?;
        Ok(Kill {
            spec: spec.clone(),
            servers,
            keeper,
            killed: Vec::new(),
            restarts: None,
            count: 0,
        })
    }

    fn end(&mut self, servers: &[ProcessId]) -> Result<(), FaultError> {
        let failed = |reason| FaultError::Unavailable {
            fault: FAULT,
            reason,
        };
        let signal = self.spec.signal.signal();
        let all = self.servers.all();
        for server in servers {
            self.keeper.get().expect_end(*server).map_err(failed)?;
            self.killed.push(*server);
        }
        // What they have forked goes with them; some of it by itself, before its turn.
        for process in servers.iter().chain(&all) {
            process
                .signal(signal)
                .map_err(FaultError::system(format!("end {process}")))?;
        }
        let deadline = Instant::now() + PATIENCE;
        while let Some(left) = servers.iter().chain(&all).find(|one| !has_ended(one)) {
            if Instant::now() > deadline {
                let seconds = PATIENCE.as_secs();
                return Err(failed(format!(
                    "{left} does not end by {signal} within {seconds} s"
                )));
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn restart_later(&mut self) {
        let (now, asked) = mpsc::channel();
        let (keeper, killed) = (self.keeper.clone(), std::mem::take(&mut self.killed));
        let after = self.spec.restart;
        let thread = thread::spawn(move || {
            let _due_or_asked = match after {
                Some(after) => asked.recv_timeout(after.duration()),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let restart = |server| keeper.get().restart(server).transpose();
            killed.into_iter().filter_map(restart).collect()
        });
        self.restarts = Some(Restarts { now, thread });
    }
}

impl Carrier for Kill {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        let servers = self.servers.known().to_vec();
        self.end(&servers)?;
        self.count = servers.len();
        self.restart_later();
        let ended = format!(
            "{} servers ended by {}",
            servers.len(),
            self.spec.signal.signal()
        );
        Ok(match self.spec.restart {
            Some(after) => format!("{ended}, started again after {after}"),
            None => ended,
        })
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        Ok(vec![
            self.servers.alive(),
            Probe::KilledServers.reading(self.count as f64),
        ])
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        // Of an injection that failed half way.
        if !self.killed.is_empty() {
            self.restart_later();
        }
        let Some(Restarts { now, thread }) = self.restarts.take() else {
            return Ok(());
        };
        // It may be done already.
        let _done = now.send(());
        let failed = |reason| FaultError::Unavailable {
            fault: FAULT,
            reason,
        };
        let restarted = thread
            .join()
            .map_err(|_| failed("the thread that restarts broke off".to_owned()))?;
        self.servers.replace(
            restarted
                .map_err(|reason| failed(format!("the server does not start again: {reason}")))?,
        );
        self.count = 0;
        Ok(())
    }
}
