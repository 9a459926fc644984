use vocab::units::Span;

use super::Carrier;
use super::duty::Duty;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::helpers::duty_cycle::Stop;
use crate::reading::Reading;
use crate::servers::Servers;

const FAULT: &str = "process.pause";

/// Server processes stopped for a while, again and again.
pub(super) struct RepeatedPause {
    servers: Servers,
    length: Span,
    period: Span,
    duty: Duty,
}

impl RepeatedPause {
    pub(super) fn new(
        length: Span,
        period: Span,
        context: &FaultContext,
    ) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        Ok(RepeatedPause {
            servers,
            length,
            period,
            duty: Duty::new(context),
        })
    }
}

impl Carrier for RepeatedPause {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        let processes = self.servers.all();
        let told = format!(
            "{} server processes stopped for {} every {}",
            processes.len(),
            self.length,
            self.period
        );
        let stop = Stop::First(self.length.duration());
        self.duty.start(processes, self.period.duration(), stop)?;
        Ok(told)
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let mut readings = vec![self.servers.alive(), self.servers.stopped()];
        readings.extend(self.duty.look()?);
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.duty.end()
    }
}
