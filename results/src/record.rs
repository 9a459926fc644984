//! What is recorded while a trial goes.

mod event;
mod history;
mod interval;
mod latency;
mod probe;
mod sample;
mod trial;
mod waits;

pub use event::{Event, EventKind};
pub use history::HistoryVerdict;
pub use interval::{ErrorKind, Interval, OpKind};
pub use latency::{Latency, LatencyError};
pub use probe::{ProbeMoment, ProbeReading};
pub use sample::{NodeSample, SampleScope};
pub use trial::{LoadStart, Parameters, PhaseSpan, TrialRecord, TrialSetup, TrialState, Validity};
pub use waits::{WaitCount, WaitEdge, WaitGraph, WaitNode};
