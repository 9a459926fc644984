use std::time::Instant;

use node::cgroup::NodeCgroup;
use node::journal::Journal;

use super::synced_write::SyncedWrites;
use super::{Carrier, start_beside};
use crate::context::{Disk, FaultContext};
use crate::error::FaultError;
use crate::helpers::disk_writer::{DiskWriterJob, DiskWriterState};
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec;
use crate::standing::Standing;

const FAULT: &str = "disk.contention";
const VERB: &str = "disk-writer";

/// A program beside the server that writes to its disk.
pub(super) struct DiskContention {
    spec: spec::DiskContention,
    group: Option<NodeCgroup>,
    servers: Servers,
    disk: Disk,
    program: HelperProgram,
    journal: Journal,
    writes: SyncedWrites,
    writer: Option<HelperProcess>,
    start: Instant,
    written: u64,
    standing: Standing,
}

impl DiskContention {
    pub(super) fn new(
        spec: &spec::DiskContention,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        let disk = context.disk(FAULT)?;
        Ok(DiskContention {
            spec: spec.clone(),
            group: context.cgroup.clone(),
            servers,
            writes: SyncedWrites::prepare(&disk.dir, context.cgroup.as_ref(), &context.helper)?,
            disk,
            program: context.helper.clone(),
            journal: context.journal.clone(),
            writer: None,
            start: Instant::now(),
            written: 0,
            standing: Standing::default(),
        })
    }

    fn written(&mut self) -> Result<u64, FaultError> {
        let state = |writer: &mut HelperProcess| writer.state::<DiskWriterState>();
        let state = self.writer.as_mut().map(state).transpose()?;
        Ok(state.map_or(0, |state| state.written))
    }
}

impl Carrier for DiskContention {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        let (group, standing) = (self.group.as_ref(), &mut self.standing);
        let mut helper = start_beside(VERB, &self.program, group, &self.journal, standing)?;
        let _: DiskWriterState = helper.begin(&DiskWriterJob {
            dir: self.disk.dir.clone(),
            writers: self.spec.writers,
            block: self.spec.block,
            sync: self.spec.sync,
        })?;
        self.writer = Some(helper);
        Ok(format!(
            "{} threads write blocks of {} bytes ({}) to disk {}",
            self.spec.writers, self.spec.block.0, self.spec.sync, self.disk.whole
        ))
    }

    fn mark(&mut self) {
        self.start = Instant::now();
        self.written = self.written().unwrap_or_default();
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = vec![self.servers.alive()];
        readings.extend(self.writes.measure());
        let seconds = self.start.elapsed().as_secs_f64().max(1e-3);
        let written = self.written()?.saturating_sub(self.written);
        readings.push(Probe::ContentionWriteRate.reading(written as f64 / seconds));
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        drop(self.writer.take());
        self.standing.undo()
    }
}
