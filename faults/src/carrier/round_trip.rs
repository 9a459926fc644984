use std::net::Ipv4Addr;
use std::time::Duration;

use crate::echo::echo;
use crate::error::FaultError;
use crate::reading::{Probe, Reading};
use crate::spec::NetDelay;

/// Measures the round trip over a delayed link.
pub(super) struct RoundTrip {
    peer: Ipv4Addr,
    patience: Duration,
}

impl RoundTrip {
    /// To `peer`, with the patience that a delay of `spec` takes.
    pub(super) fn new(peer: Ipv4Addr, spec: &NetDelay) -> RoundTrip {
        let longest = spec.delay.duration() + spec.jitter.duration();
        RoundTrip {
            peer,
            patience: Duration::from_secs(1) + 2 * longest,
        }
    }

    pub(super) fn probe(&self) -> Result<Vec<Reading>, FaultError> {
        let echoes = echo(self.peer, self.patience)
            .map_err(FaultError::system(format!("send an echo to {}", self.peer)))?;
        let median = echoes.median().map(|median| median.as_secs_f64() * 1e3);
        let mut readings = vec![Probe::LostEchoes.reading(100.0 * echoes.lost())];
        readings.extend(median.map(|median| Probe::RoundTrip.reading(median)));
        Ok(readings)
    }
}
