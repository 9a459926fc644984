use std::collections::BTreeMap;
use std::time::Duration;

use vocab::ids::Phase;
use vocab::time::TrialTime;
use vocab::units::Span;

use super::{milliseconds, moment, nanos, optional, seconds};
use crate::disk::row_file::{Fields, Row};
use crate::record::{ErrorKind, Interval, OpKind};

/// An interval as its line in `intervals.csv` gives it: quantiles stand for the distribution, which is in
/// `latency.hlog`.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalRow {
    /// The phase it lies in.
    pub phase: Phase,
    /// When it started, since load started.
    pub start: TrialTime,
    /// How long it was.
    pub length: Span,
    /// The kind of operation.
    pub op: OpKind,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that did not, by why.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Open loop: operations sent late.
    pub late: u64,
    /// Open loop: operations never sent.
    pub dropped: u64,
    /// Median latency in milliseconds; `None` when nothing succeeded.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds; `None` when nothing succeeded.
    pub p99_ms: Option<f64>,
    /// Longest latency in milliseconds; `None` when nothing succeeded.
    pub max_ms: Option<f64>,
}

impl IntervalRow {
    /// Operations that did not succeed, of all kinds.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl From<&Interval> for IntervalRow {
    fn from(interval: &Interval) -> IntervalRow {
        IntervalRow {
            phase: interval.phase,
            start: interval.start,
            length: interval.length,
            op: interval.op,
            ok: interval.ok,
            errors: interval.errors.clone(),
            late: interval.late,
            dropped: interval.dropped,
            p50_ms: interval.latency.quantile_ms(0.50),
            p99_ms: interval.latency.quantile_ms(0.99),
            max_ms: interval.latency.max_ms(),
        }
    }
}

fn error_column(kind: ErrorKind) -> String {
    format!("errors_{}", kind.as_str().replace('-', "_"))
}

impl Row for IntervalRow {
    fn header() -> Vec<String> {
        let before = [
            "phase",
            "start_s",
            "length_s",
            "operation",
            "ok",
            "rps",
            "errors",
        ];
        let after = ["late", "dropped", "p50_ms", "p99_ms", "max_ms"];
        before
            .into_iter()
            .map(str::to_owned)
            .chain(ErrorKind::ALL.iter().copied().map(error_column))
            .chain(after.into_iter().map(str::to_owned))
            .collect()
    }

    fn fields(&self) -> Vec<String> {
        let length = self.length.duration();
        let rps = self.ok as f64 / length.as_secs_f64().max(1e-9);
        let mut fields = vec![
            self.phase.to_string(),
            seconds(self.start.nanos()),
            seconds(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)),
            self.op.to_string(),
            self.ok.to_string(),
            format!("{rps:.1}"),
            self.error_count().to_string(),
        ];
        fields.extend(
            ErrorKind::ALL
                .iter()
                .map(|kind| self.errors.get(kind).copied().unwrap_or(0).to_string()),
        );
        fields.extend([self.late.to_string(), self.dropped.to_string()]);
        fields.extend(
            [self.p50_ms, self.p99_ms, self.max_ms].map(|value| optional(value, milliseconds)),
        );
        fields
    }

    fn parse(fields: &Fields<'_>) -> Result<Self, String> {
        let phase = fields.text("phase")?;
        let length =
            u64::try_from(nanos(fields.text("length_s")?)?).map_err(|error| error.to_string())?;
        let mut errors = BTreeMap::new();
        for kind in ErrorKind::ALL {
            let count = fields.value(&error_column(*kind))?;
            if count > 0 {
                errors.insert(*kind, count);
            }
        }
        Ok(IntervalRow {
            phase: Phase::ALL
                .into_iter()
                .find(|known| known.to_string() == phase)
                .ok_or_else(|| format!("`{phase}` is no phase"))?,
            start: moment(fields.text("start_s")?)?,
            length: Span::from(Duration::from_nanos(length)),
            op: fields.value("operation")?,
            ok: fields.value("ok")?,
            errors,
            late: fields.value("late")?,
            dropped: fields.value("dropped")?,
            p50_ms: fields.optional("p50_ms")?,
            p99_ms: fields.optional("p99_ms")?,
            max_ms: fields.optional("max_ms")?,
        })
    }
}
