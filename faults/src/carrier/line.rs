//! What the two carriers with a delay line of depbench's own have in common.

use std::time::Instant;

use node::journal::{Journal, Undo};

use crate::error::FaultError;
use crate::helpers::delay_line::{LineJob, LineState, Medium};
use crate::impairment::Impairment;
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::{Probe, Reading};
use crate::standing::Standing;

const VERB: &str = "delay-line";

/// A delay line that runs.
pub(super) struct RunningLine {
    helper: HelperProcess,
    start: Instant,
    /// Bytes counted until then.
    counted: u64,
}

/// The largest packet that a link carries, in bytes: one more than the rate has room for may have come in.
pub(super) const LARGEST_PACKET: f64 = 9_000.0;

impl RunningLine {
    /// Starts one; says what it holds.
    pub(super) fn start(
        impairment: &Impairment,
        medium: Medium,
        program: &HelperProgram,
        journal: &Journal,
        standing: &mut Standing,
    ) -> Result<(RunningLine, LineState), FaultError> {
        let mut helper = HelperProcess::start(VERB, program.command(VERB))?;
        let process = helper.id()?;
        standing.add(journal.record(Undo::Kill { process })?);
        let job = LineJob {
            impairment: impairment.clone(),
            medium,
            length: impairment.queue_length(),
            seed: u64::from(process.pid.unsigned_abs()),
        };
        let state = helper.begin(&job)?;
        let start = Instant::now();
        let running = RunningLine {
            helper,
            start,
            counted: 0,
        };
        Ok((running, state))
    }

    /// Starts to measure rates anew.
    pub(super) fn mark(&mut self) {
        self.start = Instant::now();
        let state: Result<LineState, _> = self.helper.state();
        // A line that died says so at the next reading.
        self.counted = state.map_or(self.counted, |state| state.counts.bytes);
    }

    /// What it has done so far; `lost` are packets that were lost before it got them.
    pub(super) fn readings(
        &mut self,
        impairment: &Impairment,
        lost: f64,
    ) -> Result<Vec<Reading>, FaultError> {
        let state: LineState = self.helper.state()?;
        let counts = state.counts;
        let elapsed = self.start.elapsed().as_secs_f64().max(1e-3);
        let dropped = Probe::DroppedPackets.reading(counts.overflowed as f64 + lost);
        let share = 100.0 * counts.hit as f64 / counts.packets.max(1) as f64;
        let mut readings = vec![
            Probe::DelayedPackets.reading(counts.packets as f64),
            dropped,
        ];
        match impairment {
            Impairment::Delay(_) => {
                let lateness = state.worst_lateness.as_secs_f64() * 1e3;
                readings.push(Probe::WorstLateness.reading(lateness));
            }
            Impairment::Rate(rate) => {
                readings.push(Probe::PacedPackets.reading(counts.hit as f64));
                let bytes = counts.bytes.saturating_sub(self.counted) as f64;
                readings.push(Probe::SentRate.reading(bytes / elapsed));
                // What still waits for its turn is counted.
                let per_second = rate.rate.per_second().0 as f64;
                let ahead = per_second * rate.queue.as_secs_f64() + LARGEST_PACKET;
                readings.push(Probe::AllowedRate.reading(per_second + ahead / elapsed));
            }
            _ => readings.push(Probe::HitPackets.reading(share)),
        }
        Ok(readings)
    }
}
