use std::time::Duration;

use rand::SeedableRng;
use rand::distr::Distribution;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::Exp1;
use vocab::time::Monotonic;
use vocab::units::Rate;

use crate::spec::Arrivals;

/// The moments at which requests of the open loop are due, one after the other.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: Monotonic,
    /// Mean distance in nanoseconds.
    distance: f64,
    arrivals: Arrivals,
    random: Xoshiro256PlusPlus,
    /// Of the next request, in distances since the start: no rounding adds up however long the load lasts.
    next: f64,
}

impl Schedule {
    pub(crate) fn new(start: Monotonic, rate: Rate, arrivals: Arrivals, seed: u64) -> Schedule {
        let mut schedule = Schedule {
            start,
            distance: 1e9 / rate.per_second(),
            arrivals,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            next: 0.0,
        };
        schedule.advance();
        schedule
    }

    /// When the next request is due.
    pub(crate) fn next(&self) -> Monotonic {
        self.start + Duration::from_nanos((self.next * self.distance) as u64)
    }

    /// Goes on to the request after the next.
    pub(crate) fn advance(&mut self) {
        self.next += match self.arrivals {
            Arrivals::Constant => 1.0,
            Arrivals::Poisson => Exp1.sample(&mut self.random),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(arrivals: Arrivals, count: usize) -> Vec<f64> {
        let rate = "1000/s".parse().unwrap();
        let mut schedule = Schedule::new(Monotonic::from_nanos(0), rate, arrivals, 7);
        let mut moments = Vec::new();
        for _ in 0..count {
            moments.push(schedule.next().nanos() as f64 / 1e6);
            schedule.advance();
        }
        moments
    }

    #[test]
    fn constant_arrivals_keep_their_distance() {
        assert_eq!(first(Arrivals::Constant, 3), [1.0, 2.0, 3.0]);
        assert_eq!(first(Arrivals::Constant, 100_000).last(), Some(&100_000.0));
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_its_spread() {
        let moments = first(Arrivals::Poisson, 100_000);
        let distances: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        let variance = distances
            .iter()
            .map(|one| (one - mean).powi(2))
            .sum::<f64>()
            / distances.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!((variance.sqrt() - 1.0).abs() < 0.02, "{variance}");
        assert_eq!(moments, first(Arrivals::Poisson, 100_000), "repeatable");
    }
}
