//! What a run leaves on disk, and all statistics on it.
//!
//! - [`record`]: what is recorded while a trial goes: intervals of load, events, samples of nodes, readings of probes;
//! - [`Environment`]: where and with what a run was made;
//! - [`RunDir`], [`TrialWriter`], [`TrialDir`]: the files of a run, written as it goes and read at any time;
//! - [`stats`]: what the numbers over phases, trials and cells are, and what they mean;
//! - [`Expectation`]: what an experiment expects of its outcome;
//! - [`write_tables`]: the statistics as CSV; [`table`]: as the text that a run ends with.

mod closed_set;
mod disk;
mod environment;
mod error;
mod expect;
pub mod record;
pub mod stats;
pub mod table;
mod tables;
mod wall_text;

pub use disk::{IntervalRow, RunDir, TrialDir, TrialWriter};
pub use environment::{Environment, Machine, NodeClock, NodeEnvironment, Program};
pub use error::ResultsError;
pub use expect::{Expectation, Judged, Measure};
pub use record::{
    ErrorKind, Event, EventKind, HistoryVerdict, Interval, Latency, LatencyError, LoadStart,
    NodeSample, OpKind, Parameters, PhaseSpan, ProbeMoment, ProbeReading, SampleScope, TrialRecord,
    TrialSetup, TrialState, Validity, WaitCount, WaitEdge, WaitGraph, WaitNode,
};
pub use tables::write_tables;
