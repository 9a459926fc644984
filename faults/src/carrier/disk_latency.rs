use super::Carrier;
use super::synced_write::SyncedWrites;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::layer::LatencyLayer;
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec;
use vocab::units::Span;

const FAULT: &str = "disk.latency";

/// A layer over the servers' data that passes operations on late.
pub(super) struct DiskLatency {
    spec: spec::DiskLatency,
    servers: Servers,
    layer: LatencyLayer,
    writes: SyncedWrites,
    delayed: u64,
    is_in: bool,
}

impl DiskLatency {
    pub(super) fn new(
        spec: &spec::DiskLatency,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        let layer = context.latency.clone().ok_or_else(|| FaultError::Unavailable {
            fault: FAULT,
            reason: "the layer that delays operations must lie over the servers' data before they start: bring the cluster up for an experiment that has this fault".to_owned(),
        })?;
        Ok(DiskLatency {
            spec: spec.clone(),
            servers,
            writes: SyncedWrites::prepare(layer.dir(), context.cgroup.as_ref(), &context.helper)?,
            delayed: layer.state()?.delayed,
            layer,
            is_in: false,
        })
    }
}

impl Carrier for DiskLatency {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        self.is_in = true;
        let state = self.layer.delay(self.spec.delay, self.spec.on)?;
        Ok(format!(
            "{} on {} takes {} longer, {} priority",
            self.spec.on,
            self.layer.dir().display(),
            self.spec.delay,
            state.priority
        ))
    }

    fn mark(&mut self) {
        self.delayed = self.layer.state().map_or(0, |state| state.delayed);
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let delayed = self.layer.state()?.delayed.saturating_sub(self.delayed);
        let mut readings = vec![
            self.servers.alive(),
            Probe::DelayedOperations.reading(delayed as f64),
        ];
        readings.extend(self.writes.measure());
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        // The delay is the layer's own and ends with it: nothing of it could be left.
        if std::mem::take(&mut self.is_in) {
            self.layer.delay(Span::ZERO, self.spec.on)?;
        }
        Ok(())
    }
}
