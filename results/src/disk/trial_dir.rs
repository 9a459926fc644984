use std::path::{Path, PathBuf};

use vocab::ids::Phase;

use super::hlog;
use super::row_file::read_rows;
use super::rows::IntervalRow;
use super::whole_file::read_json;
use crate::error::ResultsError;
use crate::record::{Event, Latency, NodeSample, OpKind, ProbeReading, TrialRecord, WaitGraph};

/// The files of a trial that was begun. A last line that a crash cut off is left out.
#[derive(Debug, Clone)]
pub struct TrialDir {
    path: PathBuf,
    record: TrialRecord,
}

impl TrialDir {
    pub(super) fn new(path: PathBuf, record: TrialRecord) -> TrialDir {
        TrialDir { path, record }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `trial.json` holds.
    pub fn record(&self) -> &TrialRecord {
        &self.record
    }

    pub(super) fn into_record(self) -> TrialRecord {
        self.record
    }

    /// The intervals of load, in the order of time.
    ///
    /// # Errors
    /// When `intervals.csv` cannot be read.
    pub fn intervals(&self) -> Result<Vec<IntervalRow>, ResultsError> {
        read_rows(&self.path.join("intervals.csv"))
    }

    /// The events in the order in which they became known.
    ///
    /// # Errors
    /// When `events.csv` cannot be read.
    pub fn events(&self) -> Result<Vec<Event>, ResultsError> {
        read_rows(&self.path.join("events.csv"))
    }

    /// The samples of nodes and processes.
    ///
    /// # Errors
    /// When `nodes.csv` cannot be read.
    pub fn samples(&self) -> Result<Vec<NodeSample>, ResultsError> {
        read_rows(&self.path.join("nodes.csv"))
    }

    /// The readings of the faults' probes.
    ///
    /// # Errors
    /// When `probes.csv` cannot be read.
    pub fn probes(&self) -> Result<Vec<ProbeReading>, ResultsError> {
        read_rows(&self.path.join("probes.csv"))
    }

    /// The slowness propagation graph, if the target tells for whom its members wait.
    ///
    /// # Errors
    /// When `waits.json` is there but cannot be read.
    pub fn waits(&self) -> Result<Option<WaitGraph>, ResultsError> {
        let path = self.path.join("waits.json");
        path.exists().then(|| read_json(&path)).transpose()
    }

    /// Hands every interval's latencies to `take`, in the order of [`TrialDir::intervals`]: its phase, operation and
    /// distribution.
    ///
    /// # Errors
    /// When `latency.hlog` cannot be read.
    pub fn each_latency(
        &self,
        mut take: impl FnMut(Phase, OpKind, Latency),
    ) -> Result<(), ResultsError> {
        hlog::read(&self.path.join("latency.hlog"), |line| {
            take(line.phase, line.op, line.latency);
        })
    }
}
