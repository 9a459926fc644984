//! `depbench duty-cycle`: stops processes and lets them go on, to slow them where the kernel's own means are out of reach.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use node::identity::{Delivery, ProcessId};
use serde::{Deserialize, Serialize};

use super::lifeline::{Lifeline, Wake, sharpen_timers};
use super::{HelperError, Priority};
use crate::servers::cpu_time;

/// What a duty cycle is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DutyJob {
    /// The processes to slow, all together.
    pub processes: Vec<ProcessId>,
    /// How often the cycle begins anew.
    pub period: Duration,
    /// When they are stopped in each period.
    pub stop: Stop,
}

/// When processes are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// For this long from the start of each period.
    First(Duration),
    /// From when they have used this much CPU time in the period, as the kernel's quota does.
    AfterUse(Duration),
}

/// What a duty cycle answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DutyState {
    /// Periods begun so far.
    pub periods: u64,
    /// Those in which the processes were stopped.
    pub stopped_periods: u64,
    /// How long they were stopped in all.
    pub stopped: Duration,
}

/// The shortest run between two looks at the CPU time used.
const GRAIN: Duration = Duration::from_micros(200);

/// Runs a duty cycle until its stdin ends or the last process has; whatever happens, the processes go on then.
///
/// # Errors
/// No job, or processes that may not be signalled.
pub fn main() -> Result<(), HelperError> {
    let (lifeline, job) = Lifeline::job::<DutyJob>()?;
    sharpen_timers();
    Priority::take_best();
    let mut cycle = Cycle {
        lifeline,
        herd: Herd {
            processes: job.processes,
            stopped_at: None,
            state: DutyState::default(),
        },
    };
    cycle.herd.check()?;
    cycle.lifeline.answer(&cycle.herd.state);
    match job.stop {
        Stop::First(length) => cycle.pause(job.period, length)?,
        Stop::AfterUse(budget) => cycle.meter(job.period, budget)?,
    }
    cycle.herd.go();
    cycle.lifeline.answer(&cycle.herd.state);
    Ok(())
}

struct Cycle {
    lifeline: Lifeline,
    herd: Herd,
}

/// Whether a cycle goes on.
#[derive(PartialEq, Eq)]
enum Next {
    On,
    End,
}

impl Cycle {
    fn pause(&mut self, period: Duration, length: Duration) -> Result<(), HelperError> {
        let mut start = Instant::now();
        loop {
            self.herd.state.periods += 1;
            self.herd.stop()?;
            // From now, not from when it was due: a stop that came late is not cut short.
            if self.wait(Instant::now() + length)? == Next::End {
                return Ok(());
            }
            self.herd.go();
            start = (start + period).max(Instant::now());
            if self.wait(start)? == Next::End {
                return Ok(());
            }
        }
    }

    fn meter(&mut self, period: Duration, budget: Duration) -> Result<(), HelperError> {
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        let mut used = cpu_time(&self.herd.processes);
        // What is left to use, in nanoseconds; below zero when a look came late, which the next periods pay for.
        let mut left = 0_i128;
        let mut start = Instant::now();
        loop {
            let end = start + period;
            self.herd.state.periods += 1;
            left = (left + budget.as_nanos() as i128).min(budget.as_nanos() as i128);
            while Instant::now() < end {
                let until = match u64::try_from(left) {
                    Ok(nanos) if nanos > 0 => {
                        self.herd.go();
                        // Even on all CPUs it cannot be used up sooner.
                        let soonest = Duration::from_nanos(nanos) / cpus;
                        (Instant::now() + soonest.max(GRAIN)).min(end)
                    }
                    _ => {
                        self.herd.stop()?;
                        end
                    }
                };
                if self.wait(until)? == Next::End {
                    return Ok(());
                }
                let now_used = cpu_time(&self.herd.processes);
                left -= now_used.saturating_sub(used).as_nanos() as i128;
                used = now_used;
            }
            start = end.max(Instant::now() - period);
        }
    }

    fn wait(&mut self, until: Instant) -> Result<Next, HelperError> {
        loop {
            match self.lifeline.wait(Some(until), None)? {
                Wake::Asked => self.lifeline.answer(&self.herd.state()),
                Wake::End => return Ok(Next::End),
                Wake::Deadline | Wake::Readable if self.herd.is_gone() => return Ok(Next::End),
                Wake::Deadline | Wake::Readable => return Ok(Next::On),
            }
        }
    }
}

/// The processes, and whether they are stopped; dropping it lets them go on.
struct Herd {
    processes: Vec<ProcessId>,
    stopped_at: Option<Instant>,
    state: DutyState,
}

impl Herd {
    /// Fails when they may not be stopped.
    fn check(&self) -> Result<(), HelperError> {
        let mut tried = self.processes.iter().map(ProcessId::can_be_signalled);
        tried.try_for_each(|one| one.map(drop).map_err(HelperError::system("stop a process")))
    }

    fn stop(&mut self) -> Result<(), HelperError> {
        if self.stopped_at.is_some() {
            return Ok(());
        }
        self.stopped_at = Some(Instant::now());
        self.state.stopped_periods += 1;
        for process in &self.processes {
            process
                .signal(Signal::SIGSTOP)
                .map_err(HelperError::system("stop a process"))?;
        }
        Ok(())
    }

    fn go(&mut self) {
        let Some(since) = self.stopped_at.take() else {
            return;
        };
        self.state.stopped += since.elapsed();
        self.processes.retain(|process| {
            // One that cannot be signalled now could not be stopped either.
            !matches!(process.signal(Signal::SIGCONT), Ok(Delivery::Gone))
        });
    }

    fn is_gone(&self) -> bool {
        !self.processes.iter().any(ProcessId::is_alive)
    }

    /// The counters as of now, a stop that lasts included.
    fn state(&self) -> DutyState {
        DutyState {
            stopped: self.state.stopped + self.stopped_at.map_or(Duration::ZERO, |at| at.elapsed()),
            ..self.state
        }
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.go();
    }
}
