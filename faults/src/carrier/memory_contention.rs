use std::time::{Duration, Instant};

use node::cgroup::NodeCgroup;
use node::identity::ProcessId;
use node::journal::Journal;
use node::procfs::{MachineMemory, ProcessSample};
use vocab::units::Bytes;

use super::{Carrier, start_beside};
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::helpers::memory_toucher::{MemoryToucherJob, MemoryToucherState};
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec;
use crate::standing::Standing;

const FAULT: &str = "memory.contention";
const VERB: &str = "memory-toucher";

/// Left free for everybody else: else the kernel would kill somebody.
const RESERVE: Bytes = Bytes(256 << 20);

/// The slowest that a program in a small CPU budget gets memory, in bytes per second.
const SLOWEST_FILL: f64 = 50e6;

/// A program that holds memory and keeps writing to it.
pub(super) struct MemoryContention {
    spec: spec::MemoryContention,
    group: Option<NodeCgroup>,
    servers: Servers,
    program: HelperProgram,
    journal: Journal,
    toucher: Option<(HelperProcess, ProcessId)>,
    start: Instant,
    touched: u64,
    standing: Standing,
}

impl MemoryContention {
    pub(super) fn new(
        spec: &spec::MemoryContention,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        Ok(MemoryContention {
            spec: spec.clone(),
            group: context.cgroup.clone(),
            servers,
            program: context.helper.clone(),
            journal: context.journal.clone(),
            toucher: None,
            start: Instant::now(),
            touched: 0,
            standing: Standing::default(),
        })
    }

    fn check_room(&self) -> Result<(), FaultError> {
        let available = MachineMemory::read()
            .map_err(FaultError::system("read /proc/meminfo"))?
            .available;
        let most = Bytes(available.0.saturating_sub(RESERVE.0));
        match self.spec.bytes <= most {
            true => Ok(()),
            false => Err(FaultError::Parameter {
                fault: FAULT,
                reason: format!(
                    "{} do not fit: of the machine's memory {} bytes are available, and {RESERVE} are left to others",
                    self.spec.bytes, available.0
                ),
            }),
        }
    }

    fn touched(&mut self) -> Result<u64, FaultError> {
        let Some((toucher, _)) = &mut self.toucher else {
            return Ok(0);
        };
        Ok(toucher.state::<MemoryToucherState>()?.touched)
    }
}

impl Carrier for MemoryContention {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        self.check_room()?;
        let (group, standing) = (self.group.as_ref(), &mut self.standing);
        let mut helper = start_beside(VERB, &self.program, group, &self.journal, standing)?;
        let process = helper.id()?;
        let job = MemoryToucherJob {
            bytes: self.spec.bytes,
            rate: self.spec.rate,
        };
        let patience = Duration::from_secs_f64(60.0 + self.spec.bytes.0 as f64 / SLOWEST_FILL);
        let _: MemoryToucherState = helper.begin_within(&job, patience)?;
        self.toucher = Some((helper, process));
        Ok(match self.spec.rate {
            Some(rate) => format!(
                "a program holds {} bytes and touches {} bytes per second",
                self.spec.bytes.0,
                rate.per_second().0
            ),
            None => format!(
                "a program holds {} bytes and touches them as fast as it can",
                self.spec.bytes.0
            ),
        })
    }

    fn mark(&mut self) {
        self.start = Instant::now();
        self.touched = self.touched().unwrap_or_default();
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let touched = self.touched()?.saturating_sub(self.touched) as f64;
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let sample = match &self.toucher {
            Some((_, process)) => ProcessSample::of(process.pid)
                .map_err(FaultError::system("look at the competing program"))?,
            None => None,
        };
        let held = sample.map_or(0, |sample| sample.memory_bytes);
        Ok(vec![
            self.servers.alive(),
            Probe::ContentionMemory.reading(held as f64),
            Probe::ContentionTouchRate.reading(touched / seconds),
        ])
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        drop(self.toucher.take());
        self.standing.undo()
    }
}
