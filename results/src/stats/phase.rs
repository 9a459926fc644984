use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use vocab::ids::Phase;
use vocab::units::Span;

use crate::disk::IntervalRow;
use crate::record::{Latency, OpKind};

/// Which operations a number is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ops {
    /// All kinds together.
    All,
    /// One kind of a mix.
    Only(OpKind),
}

impl fmt::Display for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ops::All => f.pad("all"),
            Ops::Only(op) => op.fmt(f),
        }
    }
}

/// Latencies in milliseconds of the operations that succeeded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Quantiles {
    /// Of a distribution; `None` if it is empty.
    pub fn of(latency: &Latency) -> Option<Quantiles> {
        Some(Quantiles {
            p50: latency.quantile_ms(0.50)?,
            p90: latency.quantile_ms(0.90)?,
            p95: latency.quantile_ms(0.95)?,
            p99: latency.quantile_ms(0.99)?,
            p999: latency.quantile_ms(0.999)?,
            max: latency.max_ms()?,
        })
    }
}

/// What the clients of one trial saw in one phase.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseSummary {
    /// The phase.
    pub phase: Phase,
    /// Of which operations.
    pub ops: Ops,
    /// How many succeeded.
    pub n: u64,
    /// How many did not.
    pub errors: u64,
    /// Sent late (open loop).
    pub late: u64,
    /// Never sent (open loop).
    pub dropped: u64,
    /// The time that the phase's intervals cover.
    pub covered: Span,
    /// Successful operations per second of that time.
    pub rps: f64,
    /// Latencies; `None` when nothing succeeded.
    pub latency: Option<Quantiles>,
}

/// One summary for each phase and kind of operation that occurs, and before those of a mix one for all together.
pub(super) fn summarise(
    intervals: &[IntervalRow],
    latencies: &BTreeMap<(Phase, OpKind), Latency>,
) -> Vec<PhaseSummary> {
    let mut summaries = Vec::new();
    for phase in Phase::ALL {
        let of_phase: Vec<&IntervalRow> =
            intervals.iter().filter(|row| row.phase == phase).collect();
        let kinds: BTreeSet<OpKind> = of_phase.iter().map(|row| row.op).collect();
        // The kinds of operation run side by side: time counts once.
        let covered: BTreeMap<_, Duration> = of_phase
            .iter()
            .map(|row| (row.start, row.length.duration()))
            .collect();
        let covered: Duration = covered.values().sum();
        let all = (!kinds.is_empty()).then_some(Ops::All);
        let each = kinds
            .iter()
            .copied()
            .map(Ops::Only)
            .filter(|_| kinds.len() > 1);
        for ops in all.into_iter().chain(each) {
            let counts = |kind: OpKind| ops == Ops::All || ops == Ops::Only(kind);
            let rows = || of_phase.iter().filter(|row| counts(row.op));
            let mut latency = Latency::new();
            for kind in kinds.iter().filter(|kind| counts(**kind)) {
                if let Some(part) = latencies.get(&(phase, *kind)) {
                    latency.merge(part);
                }
            }
            let n = rows().map(|row| row.ok).sum::<u64>();
            summaries.push(PhaseSummary {
                phase,
                ops,
                n,
                errors: rows().map(|row| row.error_count()).sum(),
                late: rows().map(|row| row.late).sum(),
                dropped: rows().map(|row| row.dropped).sum(),
                covered: Span::from(covered),
                rps: n as f64 / covered.as_secs_f64().max(1e-9),
                latency: Quantiles::of(&latency),
            });
        }
    }
    summaries
}
