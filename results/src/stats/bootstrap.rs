use super::spread::quantile;

/// How a phase compares with the baseline of the same trial: the median over the trials, and where the median of
/// more such trials would lie.
///
/// The interval is the percentile bootstrap's: trials are drawn with replacement 10,000 times from a fixed
/// seed, and the middle 95 % of the medians are kept. With fewer than five or so trials it is hardly narrower than
/// the range of the trials, and it covers less than it claims; of a single trial there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The median of the trials' ratios.
    pub median: f64,
    /// The 95 % interval; `None` for a single trial.
    pub interval: Option<(f64, f64)>,
    /// How many trials there are.
    pub count: usize,
}

/// How many times trials are drawn anew.
pub(super) const RESAMPLES: usize = 10_000;
const SEED: u64 = 0x6465_7062_656e_6368;

impl Ratio {
    /// Of pairs (value, baseline) of the same trial; pairs whose baseline is zero say nothing.
    pub fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Ratio> {
        let mut ratios: Vec<f64> = pairs
            .into_iter()
            .map(|(value, baseline)| value / baseline)
            .filter(|ratio| ratio.is_finite())
            .collect();
        ratios.sort_by(f64::total_cmp);
        Some(Ratio {
            median: quantile(&ratios, 0.5)?,
            interval: (ratios.len() > 1)
                .then(|| interval_of_median(&ratios))
                .flatten(),
            count: ratios.len(),
        })
    }
}

fn interval_of_median(values: &[f64]) -> Option<(f64, f64)> {
    let mut random = SplitMix(SEED);
    let mut drawn = vec![0.0; values.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            for one in &mut drawn {
                *one = values[random.below(values.len())];
            }
            drawn.sort_by(f64::total_cmp);
            quantile(&drawn, 0.5)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Some((quantile(&medians, 0.025)?, quantile(&medians, 0.975)?))
}

/// SplitMix64: the same numbers in every version of depbench, so that a report drawn again is the same report.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ratios_are_paired() {
        let ratio = Ratio::of([(50.0, 100.0), (180.0, 200.0), (6.0, 10.0)]).unwrap();
        assert_eq!(ratio.median, 0.6);
        let (low, high) = ratio.interval.unwrap();
        // Of three trials all three draws are the smallest in 1 of 27 cases, more than 2.5 %.
        assert_eq!((low, high), (0.5, 0.9));
    }

    #[test]
    fn a_single_trial_has_no_interval_and_no_baseline_no_ratio() {
        assert_eq!(Ratio::of([(1.0, 2.0)]).unwrap().interval, None);
        assert_eq!(Ratio::of([(1.0, 0.0)]), None);
        assert_eq!(Ratio::of([]), None);
    }

    #[test]
    fn more_trials_narrow_the_interval() {
        let trials = |count: usize| (0..count).map(|i| (90.0 + (i % 10) as f64, 100.0));
        let width = |ratio: Ratio| ratio.interval.map(|(low, high)| high - low).unwrap();
        assert!(width(Ratio::of(trials(40)).unwrap()) < width(Ratio::of(trials(10)).unwrap()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn the_interval_holds_the_median_and_does_not_change(
            values in proptest::collection::vec((1f64..1e6, 1f64..1e6), 2..8)
        ) {
            let ratio = Ratio::of(values.clone()).unwrap();
            let (low, high) = ratio.interval.unwrap();
            prop_assert!(low <= ratio.median && ratio.median <= high);
            prop_assert_eq!(Some(ratio), Ratio::of(values.into_iter().rev()));
        }
    }
}
