use std::collections::BTreeMap;

use vocab::ids::Phase;
use vocab::time::TrialTime;
use vocab::units::Span;

use super::paired::{Pair, Windows};
use crate::disk::{IntervalRow, TrialDir};
use crate::error::ResultsError;
use crate::record::{Event, Latency, NodeSample, OpKind, ProbeReading, TrialRecord, WaitGraph};

/// All that a trial left, with latencies merged by phase.
#[derive(Debug, Clone)]
pub struct TrialData {
    /// What `trial.json` holds.
    pub record: TrialRecord,
    /// The intervals of load by kind of operation.
    pub intervals: Vec<IntervalRow>,
    /// The intervals of load, all kinds of operation together, in the order of time.
    pub slots: Vec<Slot>,
    /// Latencies by phase and kind of operation.
    pub latencies: BTreeMap<(Phase, OpKind), Latency>,
    /// The pairs of windows of a paired fault phase; empty for any other.
    pub pairs: Vec<Pair>,
    /// The events.
    pub events: Vec<Event>,
    /// The samples of nodes and processes.
    pub samples: Vec<NodeSample>,
    /// The readings of probes.
    pub probes: Vec<ProbeReading>,
    /// Who has waited for whom, if the target tells.
    pub waits: Option<WaitGraph>,
}

/// A stretch of load, usually a second, all kinds of operation together.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The phase it lies in.
    pub phase: Phase,
    /// When it started, since load started.
    pub start: TrialTime,
    /// How long it was.
    pub length: Span,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that did not.
    pub errors: u64,
    /// Median latency in milliseconds; `None` when nothing succeeded.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds; `None` when nothing succeeded.
    pub p99_ms: Option<f64>,
}

impl Slot {
    /// Successful operations per second.
    pub fn rps(&self) -> f64 {
        self.ok as f64 / self.length.as_secs_f64().max(1e-9)
    }

    /// When it ended.
    pub fn end(&self) -> TrialTime {
        self.start.plus(self.length)
    }
}

impl TrialData {
    /// Reads everything.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(dir: &TrialDir) -> Result<TrialData, ResultsError> {
        let intervals = dir.intervals()?;
        let mut latencies = BTreeMap::new();
        let mut by_slot = SlotMerger::default();
        let events = dir.events()?;
        let fault_end = intervals
            .iter()
            .filter(|row| row.phase == Phase::Fault)
            .map(|row| row.start.plus(row.length))
            .max();
        let mut windows = Windows::of(&events, fault_end);
        // Every interval is a line in both files, in the same order.
        let mut rows = intervals.iter();
        dir.each_latency(|phase, op, latency| {
            let merged = latencies.entry((phase, op)).or_insert_with(Latency::new);
            merged.merge(&latency);
            if let Some(row) = rows.next() {
                windows.add(row.start, row.length, &latency);
                by_slot.add(row.start, latency);
            }
        })?;
        let slots = slots(&intervals, &by_slot.finish());
        Ok(TrialData {
            record: dir.record().clone(),
            pairs: windows.pairs(&slots),
            slots,
            intervals,
            latencies,
            events,
            samples: dir.samples()?,
            probes: dir.probes()?,
            waits: dir.waits()?,
        })
    }

    /// The latencies of a phase, all kinds of operation together.
    pub fn phase_latency(&self, phase: Phase) -> Latency {
        let mut all = Latency::new();
        for ((of, _), latency) in &self.latencies {
            if *of == phase {
                all.merge(latency);
            }
        }
        all
    }
}

/// Median and 99th percentile of all operations in a slot, in milliseconds.
type SlotQuantiles = (Option<f64>, Option<f64>);

/// Merges the kinds of operation of one slot after the other: distributions are too large to keep one for each.
#[derive(Default)]
struct SlotMerger {
    open: Option<(TrialTime, Latency)>,
    done: BTreeMap<TrialTime, SlotQuantiles>,
}

impl SlotMerger {
    fn add(&mut self, start: TrialTime, latency: Latency) {
        match &mut self.open {
            Some((open, merged)) if *open == start => merged.merge(&latency),
            _ => {
                self.close();
                self.open = Some((start, latency));
            }
        }
    }

    fn close(&mut self) {
        if let Some((start, merged)) = self.open.take() {
            let quantiles = (merged.quantile_ms(0.50), merged.quantile_ms(0.99));
            self.done.insert(start, quantiles);
        }
    }

    fn finish(mut self) -> BTreeMap<TrialTime, SlotQuantiles> {
        self.close();
        self.done
    }
}

fn slots(intervals: &[IntervalRow], quantiles: &BTreeMap<TrialTime, SlotQuantiles>) -> Vec<Slot> {
    let mut slots: BTreeMap<TrialTime, Slot> = BTreeMap::new();
    for interval in intervals {
        let (p50_ms, p99_ms) = quantiles.get(&interval.start).copied().unwrap_or_default();
        let slot = slots.entry(interval.start).or_insert(Slot {
            phase: interval.phase,
            start: interval.start,
            length: interval.length,
            ok: 0,
            errors: 0,
            p50_ms,
            p99_ms,
        });
        slot.ok += interval.ok;
        slot.errors += interval.error_count();
    }
    slots.into_values().collect()
}
