use std::time::Duration;

use vocab::ids::Phase;
use vocab::time::TrialTime;
use vocab::units::Span;

use crate::job::PhaseCut;

/// A stretch of the load that is reported as one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) phase: Phase,
    pub(crate) start: TrialTime,
    pub(crate) length: Span,
}

impl Stretch {
    pub(crate) fn end(&self) -> Duration {
        Duration::from_nanos(self.start.nanos() as u64) + self.length.duration()
    }
}

/// Cuts the phases into stretches: at every whole second of a phase, and at its end.
pub(crate) fn stretches(cuts: &[PhaseCut]) -> Vec<Stretch> {
    const SECOND: Duration = Duration::from_secs(1);
    let mut at = Duration::ZERO;
    let mut stretches = Vec::new();
    for cut in cuts {
        let mut rest = cut.length.duration();
        while !rest.is_zero() {
            let length = rest.min(SECOND);
            stretches.push(Stretch {
                phase: cut.phase,
                start: TrialTime::from_nanos(at.as_nanos() as i64),
                length: length.into(),
            });
            at += length;
            rest -= length;
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_cut_at_whole_seconds_and_ends() {
        let cut = |phase, millis| PhaseCut {
            phase,
            length: Span::millis(millis),
        };
        let cuts = [
            cut(Phase::Warmup, 500),
            cut(Phase::Baseline, 2500),
            cut(Phase::Fault, 1000),
        ];
        let found: Vec<_> = stretches(&cuts)
            .iter()
            .map(|one| (one.phase, one.start.seconds(), one.length.as_secs_f64()))
            .collect();
        assert_eq!(
            found,
            [
                (Phase::Warmup, 0.0, 0.5),
                (Phase::Baseline, 0.5, 1.0),
                (Phase::Baseline, 1.5, 1.0),
                (Phase::Baseline, 2.5, 0.5),
                (Phase::Fault, 3.0, 1.0),
            ]
        );
    }
}
