use std::time::Duration;

use vocab::ids::Phase;
use vocab::time::TrialTime;
use vocab::units::Span;

use super::phase::{Ops, PhaseSummary};
use super::trial_data::{Slot, TrialData};
use crate::record::{Event, EventKind};

/// What the fault did to one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// The share of the baseline's throughput that the fault phase lost; below zero if it gained.
    pub degradation: Option<f64>,
    /// How long throughput took to come back.
    pub recovery: Recovery,
    /// When nothing succeeded, after the warm-up.
    pub unavailable: Vec<Window>,
    /// Changes of leader after the warm-up.
    pub leader_changes: usize,
    /// From the first fault in place to the first change of leader after it.
    pub time_to_leader_change: Option<Span>,
}

/// How long throughput took to come back after the last fault was cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It was back after this time.
    After(Span),
    /// It was not back in the time that was watched.
    NotWithin(Span),
    /// No fault was cleared, or there is no baseline, or nothing was watched after.
    Unknown,
}

/// A stretch of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it started.
    pub start: TrialTime,
    /// How long it was.
    pub length: Span,
}

impl Effects {
    /// Of a trial whose phases are summarised already.
    pub fn of(trial: &TrialData, phases: &[PhaseSummary]) -> Effects {
        let rps = |phase| {
            let mut all = phases.iter().filter(|one| one.ops == Ops::All);
            all.find(|one| one.phase == phase).map(|one| one.rps)
        };
        // A fault that comes and goes is compared with the windows without it.
        let degradation = rps(Phase::Baseline)
            .filter(|baseline| *baseline > 0.0 && trial.pairs.is_empty())
            .zip(rps(Phase::Fault))
            .map(|(baseline, fault)| 1.0 - fault / baseline);
        let after_warmup = trial
            .slots
            .iter()
            .find(|slot| slot.phase != Phase::Warmup)
            .map(|slot| slot.start);
        let changes = || {
            let counted = trial
                .events
                .iter()
                .filter(|event| event.kind == EventKind::LeaderChanged);
            counted.map(|event| event.at)
        };
        Effects {
            degradation,
            recovery: recovery(&trial.slots, &trial.events),
            unavailable: unavailable(&trial.slots),
            leader_changes: changes()
                .filter(|at| after_warmup.is_some_and(|start| *at >= start))
                .count(),
            time_to_leader_change: first(&trial.events, EventKind::FaultEffective).and_then(
                |fault| {
                    let change = changes().filter(|at| *at >= fault).min()?;
                    Some(between(fault, change))
                },
            ),
        }
    }

    /// All unavailability together.
    pub fn unavailable_for(&self) -> Span {
        let total: Duration = self
            .unavailable
            .iter()
            .map(|window| window.length.duration())
            .sum();
        Span::from(total)
    }
}

fn first(events: &[Event], kind: EventKind) -> Option<TrialTime> {
    events
        .iter()
        .filter(|event| event.kind == kind)
        .map(|event| event.at)
        .min()
}

fn between(from: TrialTime, to: TrialTime) -> Span {
    let nanos = u64::try_from(to.nanos().saturating_sub(from.nanos())).unwrap_or(0);
    Span::from(Duration::from_nanos(nanos))
}

fn recovery(slots: &[Slot], events: &[Event]) -> Recovery {
    let cleared = events
        .iter()
        .filter(|event| event.kind == EventKind::FaultCleared)
        .map(|event| event.at)
        .max();
    let (Some(cleared), Some(threshold)) = (cleared, threshold(slots)) else {
        return Recovery::Unknown;
    };
    let after: Vec<&Slot> = slots.iter().filter(|slot| slot.start >= cleared).collect();
    let Some(last) = after.last() else {
        return Recovery::Unknown;
    };
    after
        .iter()
        .find(|slot| slot.rps() > threshold)
        .map_or_else(
            || Recovery::NotWithin(between(cleared, last.end())),
            |slot| Recovery::After(between(cleared, slot.start)),
        )
}

/// The baseline's mean throughput less one standard deviation. Stubs of intervals at a phase's end, shorter than half
/// of the longest, are too noisy to count.
fn threshold(slots: &[Slot]) -> Option<f64> {
    let baseline: Vec<&Slot> = slots
        .iter()
        .filter(|slot| slot.phase == Phase::Baseline)
        .collect();
    let longest = baseline.iter().map(|slot| slot.length.duration()).max()?;
    let rates: Vec<f64> = baseline
        .iter()
        .filter(|slot| slot.length.duration() * 2 >= longest)
        .map(|slot| slot.rps())
        .collect();
    let count = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / count;
    let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
    Some(mean - (squares / (count - 1.0).max(1.0)).sqrt())
}

fn unavailable(slots: &[Slot]) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    let mut before: Option<&Slot> = None;
    for slot in slots.iter().filter(|slot| slot.phase != Phase::Warmup) {
        if slot.ok == 0 {
            let goes_on = before.is_some_and(|before| before.ok == 0);
            match windows.last_mut().filter(|_| goes_on) {
                Some(window) => window.length = between(window.start, slot.end()),
                None => windows.push(Window {
                    start: slot.start,
                    length: slot.length,
                }),
            }
        }
        before = Some(slot);
    }
    windows
}
