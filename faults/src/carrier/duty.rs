use std::time::{Duration, Instant};

use node::identity::ProcessId;
use node::journal::{Journal, Undo};

use super::window::percent;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::helpers::duty_cycle::{DutyJob, DutyState, Stop};
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::{Probe, Reading};
use crate::standing::Standing;

const VERB: &str = "duty-cycle";

/// A duty cycle on server processes, while it is in.
pub(super) struct Duty {
    program: HelperProgram,
    journal: Journal,
    running: Option<Cycle>,
    standing: Standing,
}

/// A cycle that runs.
struct Cycle {
    helper: HelperProcess,
    since: Instant,
    period: Duration,
    stop: Stop,
}

impl Cycle {
    /// For how long the processes should have been stopped since it began; `None` if that is theirs to say.
    fn due(&self, elapsed: Duration) -> Option<Duration> {
        let Stop::First(length) = self.stop else {
            return None;
        };
        Some(pauses(length, self.period, elapsed))
    }
}

/// How long pauses of such a length at the start of each period last in all.
fn pauses(length: Duration, period: Duration, elapsed: Duration) -> Duration {
    let whole = (elapsed.as_nanos() / period.as_nanos().max(1)) as u32;
    length * whole + length.min(elapsed.saturating_sub(period * whole))
}

impl Duty {
    pub(super) fn new(context: &FaultContext) -> Duty {
        Duty {
            program: context.helper.clone(),
            journal: context.journal.clone(),
            running: None,
            standing: Standing::default(),
        }
    }

    /// Starts to stop and continue `processes`.
    pub(super) fn start(
        &mut self,
        processes: Vec<ProcessId>,
        period: Duration,
        stop: Stop,
    ) -> Result<(), FaultError> {
        for process in &processes {
            let undo = Undo::Resume { process: *process };
            self.standing.add(self.journal.record(undo)?);
        }
        let mut helper = HelperProcess::start(VERB, self.program.command(VERB))?;
        let process = helper.id()?;
        // Undone first: a cycle that still ran would stop again what was just resumed.
        self.standing
            .add(self.journal.record(Undo::Kill { process })?);
        let job = DutyJob {
            processes,
            period,
            stop,
        };
        let _: DutyState = helper.begin(&job)?;
        self.running = Some(Cycle {
            helper,
            since: Instant::now(),
            period,
            stop,
        });
        Ok(())
    }

    /// In how many periods of the cycle the processes were stopped, and for which part of the time; nothing when no cycle
    /// is in.
    pub(super) fn look(&mut self) -> Result<Vec<Reading>, FaultError> {
        let Some(cycle) = &mut self.running else {
            return Ok(Vec::new());
        };
        let state: DutyState = cycle.helper.state()?;
        let elapsed = cycle.since.elapsed();
        let share = |time: Duration| 100.0 * time.as_secs_f64() / elapsed.as_secs_f64().max(1e-3);
        let periods = percent(state.stopped_periods, state.periods);
        let mut readings = vec![
            Probe::ThrottledPeriods.reading(periods),
            Probe::StoppedTime.reading(share(state.stopped)),
        ];
        let due = cycle.due(elapsed);
        readings.extend(due.map(|due| Probe::DueStop.reading(share(due))));
        Ok(readings)
    }

    /// Ends the cycle; the processes go on.
    pub(super) fn end(&mut self) -> Result<(), FaultError> {
        drop(self.running.take());
        self.standing.undo()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_has_begun_counts_as_far_as_it_has_come() {
        let ms = Duration::from_millis;
        for (elapsed, expected) in [(10, 10), (30, 30), (99, 30), (110, 40), (250, 90)] {
            let paused = pauses(ms(30), ms(100), ms(elapsed));
            assert_eq!(paused, ms(expected), "after {elapsed} ms");
        }
    }
}
