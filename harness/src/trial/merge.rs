//! Many workers as one.

use std::collections::BTreeMap;

use results::{Interval, OpKind};
use vocab::time::TrialTime;
use workloads::report::{LoadReport, LoadTotals};

/// No worker has more clients than this; it keeps those of different workers apart in a history.
const CLIENTS: u32 = 100_000;

/// Puts together what the workers of a trial report.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// How long after the first worker each one started, in nanoseconds.
    late_by: Vec<i64>,
    /// Intervals that not all workers have reported, and how many have.
    intervals: BTreeMap<(TrialTime, OpKind), (usize, Interval)>,
    totals: LoadTotals,
    done: usize,
}

impl Merge {
    pub(super) fn new(late_by: Vec<i64>) -> Merge {
        Merge {
            late_by,
            ..Merge::default()
        }
    }

    /// Takes a report of worker `index`; gives what can be told now.
    pub(super) fn take(&mut self, index: usize, report: LoadReport) -> Option<LoadReport> {
        match report {
            LoadReport::Interval(interval) => self.interval(interval).map(LoadReport::Interval),
            LoadReport::Operation(mut operation) => {
                let late_by = self.late_by.get(index).copied().unwrap_or_default();
                let shift = |at: TrialTime| TrialTime::from_nanos(at.nanos() + late_by);
                operation = operation.took(shift(operation.invoked), shift(operation.returned));
                // The client of the reads after the load is none of the numbered ones.
                if operation.client < CLIENTS {
                    operation.client += CLIENTS * index as u32;
                }
                Some(LoadReport::Operation(operation))
            }
            LoadReport::Done(totals) => {
                self.done += 1;
                add(&mut self.totals, &totals);
                let all = self.done == self.late_by.len();
                all.then(|| LoadReport::Done(std::mem::take(&mut self.totals)))
            }
            other => Some(other),
        }
    }

    fn interval(&mut self, interval: Interval) -> Option<Interval> {
        if self.late_by.len() <= 1 {
            return Some(interval);
        }
        let key = (interval.start, interval.op);
        let (count, merged) = match self.intervals.remove(&key) {
            None => (1, interval),
            Some((count, mut merged)) => {
                merged.ok += interval.ok;
                merged.late += interval.late;
                merged.dropped += interval.dropped;
                for (kind, errors) in interval.errors {
                    *merged.errors.entry(kind).or_default() += errors;
                }
                merged.latency.merge(&interval.latency);
                (count + 1, merged)
            }
        };
        if count == self.late_by.len() {
            return Some(merged);
        }
        self.intervals.insert(key, (count, merged));
        None
    }
}

fn add(sum: &mut LoadTotals, part: &LoadTotals) {
    sum.ok += part.ok;
    sum.late += part.late;
    sum.dropped += part.dropped;
    sum.unfinished += part.unfinished;
    sum.cpu_share = sum.cpu_share.max(part.cpu_share);
    for (kind, errors) in &part.errors {
        *sum.errors.entry(*kind).or_default() += errors;
    }
}

#[cfg(test)]
mod tests {
    use history::Operation;
    use results::ErrorKind;
    use std::time::Duration;
    use vocab::ids::Phase;
    use vocab::units::Span;

    use super::*;

    #[test]
    fn intervals_and_totals_come_when_all_have_told_theirs() {
        let mut merge = Merge::new(vec![0, 1000]);
        let interval = |start: i64, ok: u64| {
            let start = TrialTime::from_nanos(start);
            let mut interval =
                Interval::new(Phase::Baseline, start, Span::seconds(1), OpKind::Write);
            interval.ok = ok;
            interval.errors.insert(ErrorKind::Timeout, 1);
            (0..ok).for_each(|_| interval.latency.record(Duration::from_millis(1)));
            LoadReport::Interval(interval)
        };
        assert!(merge.take(0, interval(0, 5)).is_none());
        assert!(merge.take(0, interval(1, 5)).is_none());
        let Some(LoadReport::Interval(merged)) = merge.take(1, interval(0, 7)) else {
            panic!("both have told the first");
        };
        assert_eq!((merged.ok, merged.latency.count()), (12, 12));
        assert_eq!(merged.errors[&ErrorKind::Timeout], 2);

        let operation = Operation::read(3, 1, None);
        let Some(LoadReport::Operation(shifted)) = merge.take(1, LoadReport::Operation(operation))
        else {
            panic!("operations are passed on");
        };
        assert_eq!((shifted.client, shifted.invoked.nanos()), (100_003, 1000));

        let totals = || {
            LoadReport::Done(LoadTotals {
                ok: 4,
                ..LoadTotals::default()
            })
        };
        assert!(merge.take(0, totals()).is_none());
        let Some(LoadReport::Done(sum)) = merge.take(1, totals()) else {
            panic!("all are done");
        };
        assert_eq!(sum.ok, 8);
    }
}
