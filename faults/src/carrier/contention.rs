use std::num::NonZeroU32;
use std::time::Duration;

use node::cgroup::{Child, CpuQuota, NodeCgroup, QuotaError, Scope};
use node::journal::Journal;
use vocab::units::{Span, Weight};

use super::window::CpuWindow;
use super::{Carrier, group, start_beside};
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::helpers::spinner::{SpinnerJob, SpinnerState};
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::{Probe, Reading};
use crate::servers::Servers;
use crate::spec::CpuContention;
use crate::standing::Standing;

const FAULT: &str = "cpu.contention";
const VERB: &str = "spinner";
const CONTENTION: Scope = Scope::Child(Child::Contention);
const SERVER: Scope = Scope::Child(Child::Server);

/// The largest weight that both cgroup versions can give the spinner; beyond it the server's is lowered.
const LARGEST: f64 = 100.0;

/// The kernel's least quota is 1 ms in a period of at most 1 s.
const LEAST: f64 = 0.001;

/// Busy threads beside the server, in a cgroup with a weight of its own inside the node's budget.
pub(super) struct Contention {
    group: NodeCgroup,
    servers: Servers,
    weight: Weight,
    threads: Option<NonZeroU32>,
    machine: f64,
    program: HelperProgram,
    journal: Journal,
    window: CpuWindow,
    used: Duration,
    /// The most that its weight gives the server, while the spinner is on each of its CPUs.
    due: Option<CpuQuota>,
    spinner: Option<HelperProcess>,
    standing: Standing,
}

impl Contention {
    pub(super) fn new(spec: &CpuContention, context: &FaultContext) -> Result<Self, FaultError> {
        let group = group(FAULT, context)?;
        let servers = context.servers(FAULT);
        servers.check()?;
        Ok(Contention {
            window: CpuWindow::open(&servers, context.machine_cpus()),
            used: used(&group),
            group,
            servers,
            weight: spec.weight,
            threads: spec.threads,
            machine: context.machine_cpus(),
            program: context.helper.clone(),
            journal: context.journal.clone(),
            due: None,
            spinner: None,
            standing: Standing::default(),
        })
    }
}

impl Contention {
    /// Keeps the server within what its weight gives it of the node's budget.
    ///
    /// After each sleep of a budget the scheduler gives everybody a tick on each CPU, whatever it weighs: by weights alone,
    /// 15x within a sixth of two CPUs left the server 32% in periods of 10 ms and 9.7% in 250 ms (kernel 6.18), not 6.25%.
    /// Without a budget nobody sleeps, and weights are enough.
    fn hold_to_weight(&mut self, due: CpuQuota) -> Result<(), FaultError> {
        if self.group.budget().is_some() {
            self.standing.add(self.group.set_quota(SERVER, due)?);
        }
        self.due = Some(due);
        Ok(())
    }
}

/// What a weight leaves of so many CPUs, in the shortest period from 100 ms in which the kernel can keep it.
fn due(cpus: f64, ratio: Weight) -> Result<CpuQuota, QuotaError> {
    let share = (cpus / (1.0 + ratio.ratio())).max(LEAST);
    CpuQuota::new(share, CpuQuota::FAULT_PERIOD).or_else(|_| CpuQuota::new(share, Span::seconds(1)))
}

fn used(group: &NodeCgroup) -> Duration {
    Duration::from_nanos(group.stat(CONTENTION).cpu_ns.unwrap_or_default())
}

/// The weights of spinner and server with the ratio asked for.
fn weights(ratio: Weight) -> (Weight, Weight) {
    let weight = |ratio: f64| format!("{ratio}x").parse().ok();
    let scaled = |most: f64| Some((weight(most)?, weight(most / ratio.ratio())?));
    let plain = weight(1.0).map(|one| (ratio, one));
    match ratio.ratio() > LARGEST {
        true => scaled(LARGEST).or(plain),
        false => plain,
    }
    .unwrap_or((ratio, ratio))
}

impl Carrier for Contention {
    fn inject(&mut self) -> Result<String, FaultError> {
        self.servers.check()?;
        // Weights count on each CPU apart: a spinner elsewhere would only use up the node's budget.
        let cpus = self.servers.cpus();
        let each = NonZeroU32::new(cpus.len() as u32).unwrap_or(NonZeroU32::MIN);
        let threads = self.threads.unwrap_or(each);
        // Where there is no spinner the server may have all it wants.
        self.due = None;
        if threads >= each {
            let due = due(self.machine.min(f64::from(each.get())), self.weight);
            self.hold_to_weight(due.map_err(|error| FaultError::Parameter {
                fault: FAULT,
                reason: error.to_string(),
            })?)?;
        }
        let (spinner, server) = weights(self.weight);
        self.standing
            .add(self.group.set_weight(CONTENTION, spinner)?);
        self.standing.add(self.group.set_weight(SERVER, server)?);

        let (group, standing) = (Some(&self.group), &mut self.standing);
        let mut helper = start_beside(VERB, &self.program, group, &self.journal, standing)?;
        let told = format!(
            "{threads} busy threads on CPUs {cpus:?} with {} the server's weight",
            self.weight
        );
        let _: SpinnerState = helper.begin(&SpinnerJob { threads, cpus })?;
        self.spinner = Some(helper);
        Ok(told)
    }

    fn mark(&mut self) {
        self.window.restart();
        self.used = used(&self.group);
    }

    fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        let seen = self.window.look();
        let used = used(&self.group).saturating_sub(self.used);
        let share = self.window.share(used, seen.length);
        let mut readings = seen.readings;
        readings.push(Probe::ContentionShare.reading(share));
        let due = self.due.filter(|_| self.spinner.is_some());
        readings.extend(due.map(|due| self.window.allowed(due, seen.length)));
        Ok(readings)
    }

    fn clear(&mut self) -> Result<(), FaultError> {
        drop(self.spinner.take());
        self.standing.undo()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_due_what_its_weight_leaves_it() {
        let due = |cpus, ratio: &str| due(cpus, ratio.parse().unwrap()).unwrap();
        assert_eq!(due(1.0, "1x").to_string(), "0.5 CPUs in periods of 100ms");
        assert_eq!(
            due(0.32, "15x").to_string(),
            "0.02 CPUs in periods of 100ms"
        );
        assert_eq!(due(0.1, "24x").to_string(), "0.004 CPUs in periods of 1s");
        // The kernel's least, however heavy the spinner.
        assert_eq!(due(0.1, "1000x").cpus(), LEAST);
    }

    #[test]
    fn the_ratio_of_weights_is_the_one_asked_for() {
        for text in ["0.5x", "1x", "15x", "100x", "400x", "1000x"] {
            let asked: Weight = text.parse().unwrap();
            let (spinner, server) = weights(asked);
            assert!(spinner.ratio() <= LARGEST);
            let ratio = spinner.ratio() / server.ratio();
            assert!(
                (ratio / asked.ratio() - 1.0).abs() < 0.01,
                "{text}: {ratio}"
            );
        }
    }
}
