use node::cgroup::{self, CgroupStat, Child, NodeCgroup, Scope};
use vocab::units::Span;

use super::window::{CpuWindow, percent};
use super::{Carrier, group};
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec::CpuQuota;
use crate::standing::Standing;

const FAULT: &str = "cpu.quota";
const SERVER: Scope = Scope::Child(Child::Server);

/// A quota on the server's cgroup.
pub(super) struct GroupQuota {
    group: NodeCgroup,
    servers: Servers,
    machine: f64,
    quota: cgroup::CpuQuota,
    window: CpuWindow,
    start: CgroupStat,
    standing: Standing,
}

impl GroupQuota {
    pub(super) fn new(spec: &CpuQuota, context: &FaultContext) -> Result<Self, FaultError> {
        let group = group(FAULT, context)?;
        let servers = context.servers(FAULT);
        servers.check()?;
        let machine = context.machine_cpus();
        let quota = quota(machine * spec.share.fraction())?;
        let window = CpuWindow::open(&servers, machine);
        Ok(GroupQuota {
            start: group.stat(SERVER),
            group,
            servers,
            machine,
            quota,
            window,
            standing: Standing::default(),
        })
    }
}

/// So many CPUs in periods of 100 ms, as in the papers; longer ones where the kernel could not keep a quota so small.
fn quota(cpus: f64) -> Result<cgroup::CpuQuota, FaultError> {
    let longest = Span::seconds(1);
    cgroup::CpuQuota::new(cpus, cgroup::CpuQuota::FAULT_PERIOD)
        .or_else(|_| cgroup::CpuQuota::new(cpus, longest))
        .map_err(|error| FaultError::Parameter {
            fault: FAULT,
            reason: format!("{error} (the share of this node's machine size is too small)"),
        })
}

impl Carrier for GroupQuota {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        self.standing.add(self.group.set_quota(SERVER, self.quota)?);
        Ok(format!(
            "server limited to {} of a machine of {} CPUs",
            self.quota, self.machine
        ))
    }

    fn mark(&mut self) {
        self.window.restart();
        self.start = self.group.stat(SERVER);
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let seen = self.window.look();
        let mut readings = seen.readings;
        if !self.standing.is_empty() {
            readings.push(self.window.allowed(self.quota, seen.length));
        }
        let now = self.group.stat(SERVER);
        let grown = |counter: fn(&CgroupStat) -> Option<u64>| {
            Some(counter(&now)?.saturating_sub(counter(&self.start)?))
        };
        let periods = grown(|stat| stat.periods).zip(grown(|stat| stat.throttled_periods));
        readings.extend(
            periods
                .map(|(passed, denied)| Probe::ThrottledPeriods.reading(percent(denied, passed))),
        );
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        self.standing.undo()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_machines_get_longer_periods() {
        assert_eq!(quota(0.05).unwrap().period(), Span::millis(100));
        assert_eq!(quota(0.002).unwrap().period(), Span::seconds(1));
        let error = quota(0.0001).unwrap_err().to_string();
        assert!(error.contains("too small"), "{error}");
    }
}
