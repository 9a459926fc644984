//! All statistics on a run.
//!
//! - **throughput** (rps): operations that succeeded in a phase, divided by the time that the phase's intervals cover.
//! - **p50 … p99.9, max**: of all operations that succeeded in the phase, from the merged histograms of its
//!   intervals; never an average of percentiles. Latencies are good to three digits.
//! - **median, min, max over trials**: each trial gives one number, the spread is that of these numbers.
//! - **ratio to the baseline**: each trial's phase is divided by the baseline of the *same* trial, so that what differs
//!   between trials cancels; the median of these ratios is given with a 95 % interval by the percentile bootstrap over
//!   trials ([`Ratio`]).
//! - **degradation**: one minus the throughput ratio of the fault phase.
//! - **recovery time**: from the moment the last fault was cleared to the start of the first whole interval whose
//!   throughput is above the baseline's mean less one standard deviation (of its intervals). As fine as the intervals.
//! - **unavailability window**: consecutive intervals in which no operation of any kind succeeded.
//! - **time to leader change**: from the moment the first fault was in place to the first change of leader after it.
//!
//! - **paired windows**: a fault phase in which the faults come and go. Each window with them is divided by the one
//!   without them just before it; the median of these ratios is given with its bootstrap interval over the pairs of all
//!   valid trials ([`Tolerance`]).
//!
//! Trials that are invalid or incomplete enter none of the numbers over trials; they are listed with their reason.

mod analysis;
mod bootstrap;
mod bound;
mod cell;
mod effects;
mod paired;
mod phase;
mod spread;
mod trial_data;

pub use analysis::{Analysis, TrialAnalysis};
pub use bootstrap::Ratio;
pub use bound::{Bound, Judgement};
pub use cell::{CellAnalysis, CellPhase};
pub use effects::{Effects, Recovery, Window};
pub use paired::{Pair, Tolerance, WindowSummary};
pub use phase::{Ops, PhaseSummary, Quantiles};
pub use spread::Spread;
pub use trial_data::{Slot, TrialData};
