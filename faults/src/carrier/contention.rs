use std::num::NonZeroU32;
use std::time::Duration;

use node::cgroup::{Child, CpuQuota, NodeCgroup, Scope};
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

/// The largest weight that both cgroup versions can give the spinner; beyond it the server's is lowered.
const LARGEST: f64 = 100.0;

/// What each gets on a CPU when the budget wakes up, beside what it weighs.
const A_SLICE: Span = Span::millis(2);

/// No budget is kept in longer periods: the node sleeps for most of one.
const LONGEST_PERIOD: Span = Span::millis(250);

/// Busy threads beside the server, in a cgroup with a weight of its own inside the node's budget.
pub(super) struct Contention {
    group: NodeCgroup,
    servers: Servers,
    weight: Weight,
    threads: Option<NonZeroU32>,
    program: HelperProgram,
    journal: Journal,
    window: CpuWindow,
    used: Duration,
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
            program: context.helper.clone(),
            journal: context.journal.clone(),
            spinner: None,
            standing: Standing::default(),
        })
    }
}

impl Contention {
    /// Makes the period of the node's budget long enough for weights to count in it.
    fn lengthen_budget_period(&mut self) -> Result<(), FaultError> {
        let Some(budget) = self.group.budget() else {
            return Ok(());
        };
        let period = period(budget.cpus(), self.servers.cpus().len(), self.weight);
        if budget.period() >= period {
            return Ok(());
        }
        let budget =
            CpuQuota::new(budget.cpus(), period).map_err(|error| FaultError::Parameter {
                fault: FAULT,
                reason: error.to_string(),
            })?;
        self.standing
            .add(self.group.set_quota(Scope::Node, budget)?);
        Ok(())
    }
}

/// The period of a budget of so many CPUs spread over `cpus` in which the server gets its share by weight, within a
/// percentage point; within reason, since the whole node sleeps for the rest of it.
///
/// After each such sleep the scheduler gives everybody a slice, whatever it weighs: 15x within half of two CPUs came out as
/// 1.6x in periods of 10 ms, 11x in 100 ms and 14x in 250 ms (kernel 6.18). Equal weights have nothing to lose by it.
fn period(budget: f64, cpus: usize, ratio: Weight) -> Span {
    let share = 1.0 / (1.0 + ratio.ratio());
    let too_much = A_SLICE.as_secs_f64() * (1.0 - 2.0 * share).abs();
    let awake = too_much / 0.01;
    let period = (awake * cpus.max(1) as f64 / budget).clamp(
        CpuQuota::FAULT_PERIOD.as_secs_f64(),
        LONGEST_PERIOD.as_secs_f64(),
    );
    Span::millis((period * 1e3).round() as u64)
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
        self.lengthen_budget_period()?;
        let (spinner, server) = weights(self.weight);
        self.standing
            .add(self.group.set_weight(CONTENTION, spinner)?);
        self.standing
            .add(self.group.set_weight(Scope::Child(Child::Server), server)?);

        let (group, standing) = (Some(&self.group), &mut self.standing);
        let mut helper = start_beside(VERB, &self.program, group, &self.journal, standing)?;
        // Weights count on each CPU apart: a spinner elsewhere would only use up the node's budget.
        let cpus = self.servers.cpus();
        let each = NonZeroU32::new(cpus.len() as u32).unwrap_or(NonZeroU32::MIN);
        let threads = self.threads.unwrap_or(each);
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
    fn a_period_is_as_long_as_the_weight_needs_and_no_longer() {
        let millis = |budget, cpus, ratio: &str| {
            period(budget, cpus, ratio.parse().unwrap())
                .duration()
                .as_millis()
        };
        assert_eq!(millis(1.0, 2, "1x"), 100);
        assert_eq!(millis(1.0, 2, "4x"), 240);
        assert_eq!(millis(1.0, 2, "0.25x"), 240);
        assert_eq!(millis(0.5, 2, "15x"), 250);
        assert_eq!(millis(1.0, 1, "15x"), 175);
        assert_eq!(millis(1.0, 0, "1x"), 100);
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
