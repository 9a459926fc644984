use std::fmt;

use super::bootstrap::Ratio;

/// What a ratio must not be beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// What an interval says of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// All of the interval keeps the bound.
    Inside,
    /// None of it does.
    Outside,
    /// It lies across the bound, or there is none.
    Inconclusive,
}

impl Bound {
    /// Judges by the interval, not by the median: what a few trials happened to show decides nothing.
    pub fn judge(self, ratio: Option<Ratio>) -> Judgement {
        let Some((low, high)) = ratio.and_then(|ratio| ratio.interval) else {
            return Judgement::Inconclusive;
        };
        let keeps = |value: f64| match self {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        };
        match (keeps(low), keeps(high)) {
            (true, true) => Judgement::Inside,
            (false, false) => Judgement::Outside,
            _ => Judgement::Inconclusive,
        }
    }
}

impl Judgement {
    /// Of several bounds: outside if any is, inside if all are.
    pub fn of_all(judgements: impl IntoIterator<Item = Judgement>) -> Judgement {
        judgements
            .into_iter()
            .fold(Judgement::Inside, |all, one| match (all, one) {
                (Judgement::Outside, _) | (_, Judgement::Outside) => Judgement::Outside,
                (Judgement::Inside, Judgement::Inside) => Judgement::Inside,
                _ => Judgement::Inconclusive,
            })
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Judgement::Inside => "inside",
            Judgement::Outside => "outside",
            Judgement::Inconclusive => "inconclusive",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(low: f64, high: f64) -> Option<Ratio> {
        Some(Ratio {
            median: f64::midpoint(low, high),
            interval: Some((low, high)),
            count: 10,
        })
    }

    #[test]
    fn an_interval_across_its_bound_is_inconclusive() {
        let least = |ratio| Bound::AtLeast(0.95).judge(ratio);
        assert_eq!(least(ratio(0.96, 1.02)), Judgement::Inside);
        assert_eq!(least(ratio(0.94, 1.02)), Judgement::Inconclusive);
        assert_eq!(least(ratio(0.80, 0.94)), Judgement::Outside);
        let most = |ratio| Bound::AtMost(1.1).judge(ratio);
        assert_eq!(most(ratio(0.7, 1.09)), Judgement::Inside);
        assert_eq!(most(ratio(1.05, 1.2)), Judgement::Inconclusive);
        assert_eq!(most(ratio(1.2, 3.0)), Judgement::Outside);
        assert_eq!(most(None), Judgement::Inconclusive);
    }

    #[test]
    fn one_bound_that_is_broken_breaks_all() {
        use Judgement::{Inconclusive, Inside, Outside};
        assert_eq!(Judgement::of_all([Inside, Inside]), Inside);
        assert_eq!(Judgement::of_all([Inside, Inconclusive]), Inconclusive);
        assert_eq!(Judgement::of_all([Inconclusive, Outside, Inside]), Outside);
    }
}
