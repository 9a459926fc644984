use std::path::Path;

use node::cgroup::{Child, Controller, NodeCgroup};

use crate::error::FaultError;
use crate::helpers::disk_probe::{DiskProbeJob, DiskProbeState};
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::{Probe, Reading};

const VERB: &str = "disk-probe";

/// Measures synced writes in a directory, under the disk limits of the server's group.
pub(super) struct SyncedWrites(HelperProcess);

impl SyncedWrites {
    /// Starts to be able to; its file is made and written before the fault.
    pub(super) fn prepare(
        dir: &Path,
        group: Option<&NodeCgroup>,
        program: &HelperProgram,
    ) -> Result<SyncedWrites, FaultError> {
        let mut command = program.command(VERB);
        if let Some(group) = group {
            group
                .admission_to(Controller::Io, Child::Server)?
                .admit(&mut command);
        }
        let mut helper = HelperProcess::start(VERB, command)?;
        let job = DiskProbeJob {
            dir: dir.to_owned(),
        };
        let _: DiskProbeState = helper.begin(&job)?;
        Ok(SyncedWrites(helper))
    }

    /// Takes up to one and a half seconds. Another fault may have stopped the probe with the server: then there is no
    /// reading.
    pub(super) fn measure(&mut self) -> Option<Reading> {
        let state: DiskProbeState = self.0.state().ok()?;
        let median = state.median_us? as f64 / 1e3;
        Some(Probe::SyncedWrite.reading(median))
    }
}
