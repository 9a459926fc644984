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
    running: Option<(HelperProcess, Instant)>,
    standing: Standing,
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
        self.running = Some((helper, Instant::now()));
        Ok(())
    }

    /// In how many periods of the cycle the processes were stopped, and for which part of the time; nothing when no cycle
    /// is in.
    pub(super) fn look(&mut self) -> Result<Vec<Reading>, FaultError> {
        let Some((helper, since)) = &mut self.running else {
            return Ok(Vec::new());
        };
        let state: DutyState = helper.state()?;
        let share = percent(state.stopped_periods, state.periods);
        let stopped = state.stopped.as_secs_f64() / since.elapsed().as_secs_f64().max(1e-3);
        Ok(vec![
            Probe::ThrottledPeriods.reading(share),
            Probe::StoppedTime.reading(100.0 * stopped),
        ])
    }

    /// Ends the cycle; the processes go on.
    pub(super) fn end(&mut self) -> Result<(), FaultError> {
        drop(self.running.take());
        self.standing.undo()
    }
}
