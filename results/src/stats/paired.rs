use vocab::time::TrialTime;
use vocab::units::Span;

use super::bootstrap::Ratio;
use super::trial_data::Slot;
use crate::record::{Event, EventKind, Latency};

/// A window without the faults and the one with them that follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Which, from 1.
    pub number: u32,
    /// Without the faults.
    pub free: WindowSummary,
    /// With them.
    pub fault: WindowSummary,
}

/// What the clients saw in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowSummary {
    /// Operations that succeeded.
    pub n: u64,
    /// Operations that did not.
    pub errors: u64,
    /// The time that its intervals cover.
    pub covered: Span,
    /// Successful operations per second of that time.
    pub rps: f64,
    /// 99th percentile of latency in milliseconds; `None` when nothing succeeded.
    pub p99: Option<f64>,
}

/// The pairs of a cell's valid trials together, faulty over fault-free.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// How many pairs there are.
    pub pairs: usize,
    /// Of throughput.
    pub rps: Option<Ratio>,
    /// Of the 99th percentile of latency.
    pub p99: Option<Ratio>,
}

impl Tolerance {
    /// Of all pairs; `None` without any.
    pub fn of<'a>(pairs: impl Iterator<Item = &'a Pair> + Clone) -> Option<Tolerance> {
        let count = pairs.clone().count();
        (count > 0).then(|| Tolerance {
            pairs: count,
            rps: Ratio::of(pairs.clone().map(|pair| (pair.fault.rps, pair.free.rps))),
            p99: Ratio::of(pairs.filter_map(|pair| Some((pair.fault.p99?, pair.free.p99?)))),
        })
    }
}

/// The windows of a trial, while its intervals are read.
pub(super) struct Windows(Vec<Window>);

struct Window {
    pair: u32,
    faulty: bool,
    start: TrialTime,
    end: TrialTime,
    latency: Latency,
}

impl Windows {
    /// As the events tell; the last one ends with the fault phase, at `end`.
    pub(super) fn of(events: &[Event], end: Option<TrialTime>) -> Windows {
        let starts = events
            .iter()
            .filter(|event| event.kind == EventKind::WindowStarted)
            .filter_map(|event| {
                let (kind, pair) = event.detail.split_once(' ')?;
                Some((event.at, kind == "fault", pair.parse().ok()?))
            });
        let mut windows: Vec<Window> = Vec::new();
        for (start, faulty, pair) in starts {
            if let Some(before) = windows.last_mut() {
                before.end = start;
            }
            windows.push(Window {
                pair,
                faulty,
                start,
                end: end.unwrap_or(start),
                latency: Latency::new(),
            });
        }
        Windows(windows)
    }

    /// Adds the latencies of an interval to the window in which its middle lies.
    pub(super) fn add(&mut self, start: TrialTime, length: Span, latency: &Latency) {
        let middle = middle(start, length);
        let holds = |window: &&mut Window| window.start <= middle && middle < window.end;
        if let Some(window) = self.0.iter_mut().find(holds) {
            window.latency.merge(latency);
        }
    }

    /// The pairs of which both windows were measured.
    pub(super) fn pairs(&self, slots: &[Slot]) -> Vec<Pair> {
        let summary = |pair: u32, faulty: bool| {
            let window = self
                .0
                .iter()
                .find(|one| one.pair == pair && one.faulty == faulty)?;
            window.summary(slots)
        };
        let numbers = self.0.iter().filter(|one| one.faulty).map(|one| one.pair);
        numbers
            .filter_map(|number| {
                Some(Pair {
                    number,
                    free: summary(number, false)?,
                    fault: summary(number, true)?,
                })
            })
            .collect()
    }
}

impl Window {
    fn summary(&self, slots: &[Slot]) -> Option<WindowSummary> {
        let inside = slots.iter().filter(|slot| {
            let middle = middle(slot.start, slot.length);
            self.start <= middle && middle < self.end
        });
        let covered: std::time::Duration = inside.clone().map(|slot| slot.length.duration()).sum();
        let n = inside.clone().map(|slot| slot.ok).sum();
        (!covered.is_zero()).then(|| WindowSummary {
            n,
            errors: inside.map(|slot| slot.errors).sum(),
            covered: covered.into(),
            rps: n as f64 / covered.as_secs_f64(),
            p99: self.latency.quantile_ms(0.99),
        })
    }
}

/// The loop that tells of a window's start, and the worker that cuts intervals, are some milliseconds apart.
fn middle(start: TrialTime, length: Span) -> TrialTime {
    let half = i64::try_from(length.duration().as_nanos() / 2).unwrap_or(i64::MAX);
    TrialTime::from_nanos(start.nanos().saturating_add(half))
}
