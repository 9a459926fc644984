use super::Carrier;
use super::duty::Duty;
use super::window::CpuWindow;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::helpers::duty_cycle::Stop;
use crate::reading::Reading;
use crate::servers::Servers;
use crate::spec::CpuQuota;

const FAULT: &str = "cpu.quota";

/// A quota kept by stopping the server when it has used up its share of a period, where cgroups are out of reach.
pub(super) struct DutyQuota {
    servers: Servers,
    cpus: f64,
    window: CpuWindow,
    duty: Duty,
}

impl DutyQuota {
    pub(super) fn new(spec: &CpuQuota, context: &FaultContext) -> Result<Self, FaultError> {
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
        let period = node::cgroup::CpuQuota::FAULT_PERIOD.duration();
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
        let mut readings = self.window.look().readings;
        readings.extend(self.duty.look()?);
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.duty.end()
    }
}
