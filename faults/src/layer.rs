use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use node::cgroup::{Child, Controller, NodeCgroup};
use node::journal::{Entry, Journal, Undo};
use vocab::units::Span;

use crate::error::FaultError;
use crate::helpers::latency_layer::{LatencyLayerJob, LatencyLayerState, LatencyOrder};
use crate::process::{HelperProcess, HelperProgram};
use crate::spec::DelayedOperations;

const VERB: &str = "latency-layer";

/// A file system over a directory that `disk.latency` makes slow. Clones stand for the same layer.
///
/// It must be there before the servers open their files, and go after they have closed them.
#[derive(Debug, Clone)]
pub struct LatencyLayer {
    dir: PathBuf,
    helper: Arc<Mutex<HelperProcess>>,
    entry: Arc<Mutex<Option<Entry>>>,
}

impl LatencyLayer {
    /// Lays it over `dir`, at zero delay. What the servers have written to their disk is charged to their group as if there
    /// were no layer; in cgroup version 2 the layer's CPU and memory are as well.
    ///
    /// # Errors
    /// When there is no FUSE here, or the directory cannot be mounted on.
    pub fn mount(
        dir: &Path,
        cgroup: Option<&NodeCgroup>,
        journal: &Journal,
        program: &HelperProgram,
    ) -> Result<LatencyLayer, FaultError> {
        let mut command = program.command(VERB);
        if let Some(group) = cgroup.filter(|group| group.hierarchies().has(Controller::Io)) {
            group
                .admission_to(Controller::Io, Child::Server)?
                .admit(&mut command);
        }
        let dir = dir.to_owned();
        let entry = journal.record(Undo::Unmount { path: dir.clone() })?;
        let mut helper = HelperProcess::start(VERB, command)?;
        let begun = helper.begin::<_, LatencyLayerState>(&LatencyLayerJob { dir: dir.clone() });
        if let Err(error) = begun {
            drop(helper);
            entry.undo()?;
            return Err(error);
        }
        Ok(LatencyLayer {
            dir,
            helper: Arc::new(Mutex::new(helper)),
            entry: Arc::new(Mutex::new(Some(entry))),
        })
    }

    /// The directory it is laid over.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes it off again; what lies below stays as the layer left it.
    ///
    /// # Errors
    /// When it cannot be unmounted; that stays in the journal.
    pub fn unmount(&self) -> Result<(), FaultError> {
        self.helper().end();
        let entry = self
            .entry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Ok(entry.map_or(Ok(()), Entry::undo)?)
    }

    pub(crate) fn delay(
        &self,
        delay: Span,
        on: DelayedOperations,
    ) -> Result<LatencyLayerState, FaultError> {
        self.helper().order(&LatencyOrder { delay, on })
    }

    pub(crate) fn state(&self) -> Result<LatencyLayerState, FaultError> {
        self.helper().state()
    }

    fn helper(&self) -> std::sync::MutexGuard<'_, HelperProcess> {
        self.helper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
