use super::Carrier;
use super::synced_write::SyncedWrites;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::latency::Latency;
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec::{self, DelayedBy};
use vocab::units::Span;

const FAULT: &str = "disk.latency";

/// What stands below or over the servers' data and passes operations on late.
pub(super) struct DiskLatency {
    spec: spec::DiskLatency,
    servers: Servers,
    latency: Latency,
    writes: SyncedWrites,
    /// Operations counted at the last mark.
    counted: u64,
    is_in: bool,
}

impl DiskLatency {
    pub(super) fn new(
        spec: &spec::DiskLatency,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        let unavailable = |reason: String| FaultError::Unavailable {
            fault: FAULT,
            reason,
        };
        let latency = context.latency.clone().ok_or_else(|| {
            unavailable("what delays operations must lie over the servers' data before they start: bring the cluster up for an experiment that has this fault".to_owned())
        })?;
        match (spec.by, &latency) {
            (DelayedBy::DmDelay, Latency::Layer(_)) | (DelayedBy::Fuse, Latency::Device(_)) => {
                return Err(unavailable(format!(
                    "the servers' data has a {} instead of {}",
                    latency.backend(),
                    spec.by
                )));
            }
            _ => {}
        }
        Ok(DiskLatency {
            writes: SyncedWrites::prepare(latency.dir(), context.cgroup.as_ref(), &context.helper)?,
            counted: latency.counted(spec.on)?,
            spec: spec.clone(),
            servers,
            latency,
            is_in: false,
        })
    }
}

impl Carrier for DiskLatency {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        self.is_in = true;
        let place = self.latency.delay(self.spec.delay, self.spec.on)?;
        let spec::DiskLatency { delay, on, .. } = &self.spec;
        Ok(format!("{on} on {place} takes {delay} longer"))
    }

    fn mark(&mut self) {
        self.counted = self.latency.counted(self.spec.on).unwrap_or_default();
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let delayed = self.latency.delayed_since(self.counted, self.spec.on)?;
        let mut readings = vec![
            self.servers.alive(),
            Probe::DelayedOperations.reading(delayed as f64),
        ];
        readings.extend(self.writes.measure());
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        // Whoever removes the layer or the device takes the delay out first: nothing of it could be left.
        if std::mem::take(&mut self.is_in) {
            self.latency.delay(Span::ZERO, self.spec.on)?;
        }
        Ok(())
    }
}
