use node::cgroup::CpuQuota;
use vocab::units::Span;

use super::Carrier;
use super::duty::Duty;
use super::window::CpuWindow;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::helpers::duty_cycle::Stop;
use crate::reading::Reading;
use crate::servers::Servers;
use crate::spec;

const FAULT: &str = "cpu.quota";
const PERIOD: Span = CpuQuota::FAULT_PERIOD;

/// A quota kept by stopping the server when it has used up its share of a period, where cgroups are out of reach.
pub(super) struct DutyQuota {
    servers: Servers,
    cpus: f64,
    window: CpuWindow,
    duty: Duty,
}

impl DutyQuota {
    pub(super) fn new(spec: &spec::CpuQuota, context: &FaultContext) -> Result<Self, FaultError> {
        let servers = context.servers(FAULT);
        servers.check()?;
        let machine = context.machine_cpus();
        Ok(DutyQuota {
            cpus: machine * spec.share.fraction(),
            window: CpuWindow::open(&servers, machine),
            servers,
            duty: Duty::new(context),
        })
    }
}

impl Carrier for DutyQuota {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        let period = PERIOD.duration();
        let budget = period.mul_f64(self.cpus);
        self.duty
            .start(self.servers.all(), period, Stop::AfterUse(budget))?;
        Ok(format!(
            "server stopped in each period of {period:?} after {budget:?} of CPU time"
        ))
    }

    fn mark(&mut self) {
        self.window.restart();
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let seen = self.window.look();
        let mut readings = seen.readings;
        let duty = self.duty.look()?;
        // Quotas too small for the kernel are kept all the same, but not to a percentage point.
        if let (false, Ok(quota)) = (duty.is_empty(), CpuQuota::new(self.cpus, PERIOD)) {
            readings.push(self.window.allowed(quota, seen.length));
        }
        readings.extend(duty);
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.duty.end()
    }
}
