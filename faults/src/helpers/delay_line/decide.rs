use std::time::{Duration, Instant};

use vocab::units::Share;

use super::dice::{Dice, normal_share};
use crate::impairment::Impairment;
use crate::spec::{Distribution, NetDelay, NetLoss, NetRate, Order};

/// Decides what becomes of each packet.
pub(super) struct Decider {
    impairment: Impairment,
    dice: Dice,
    /// What the last draw was, on the scale of the standard normal distribution.
    deviation: f64,
    /// Whether the last packet was lost.
    is_losing: bool,
    /// When the last packet was or will be due.
    last: Option<Instant>,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) course: Course,
    /// When it goes on, if it does.
    pub(super) due: Instant,
    /// Whether the impairment did something to it that it does not do to all.
    pub(super) is_hit: bool,
}

/// How a packet goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// As it is.
    Plain,
    /// And a copy of it.
    Twice,
    /// With one bit flipped, chosen by this number.
    Damaged(u64),
    /// Not at all, on purpose.
    Lost,
    /// Not at all, because too many wait.
    NoRoom,
}

impl Decider {
    pub(super) fn new(impairment: &Impairment, seed: u64) -> Decider {
        Decider {
            impairment: impairment.clone(),
            dice: Dice::new(seed),
            deviation: 0.0,
            is_losing: false,
            last: None,
        }
    }

    /// For a packet of `length` bytes that comes in `now`.
    pub(super) fn decide(&mut self, now: Instant, length: u32) -> Decision {
        let at_once = |course, is_hit| Decision {
            course,
            due: now,
            is_hit,
        };
        match self.impairment.clone() {
            Impairment::Delay(delay) => {
                let due = now + self.delay(&delay);
                let due = match delay.order {
                    Order::Keep => self.last.map_or(due, |last| due.max(last)),
                    Order::Free => due,
                };
                self.last = Some(due);
                Decision {
                    due,
                    ..at_once(Course::Plain, false)
                }
            }
            Impairment::Loss(loss) => match self.loses(&loss) {
                true => at_once(Course::Lost, true),
                false => at_once(Course::Plain, false),
            },
            Impairment::Reorder(reorder) => match self.hits(reorder.share) {
                true => Decision {
                    due: now + reorder.delay.duration(),
                    ..at_once(Course::Plain, true)
                },
                false => at_once(Course::Plain, false),
            },
            Impairment::Duplicate(duplicate) => match self.hits(duplicate.share) {
                true => at_once(Course::Twice, true),
                false => at_once(Course::Plain, false),
            },
            Impairment::Corrupt(corrupt) => match self.hits(corrupt.share) {
                true => at_once(Course::Damaged(self.dice.number()), true),
                false => at_once(Course::Plain, false),
            },
            Impairment::Rate(rate) => self.pace(&rate, now, length),
        }
    }

    fn hits(&mut self, share: Share) -> bool {
        self.dice.chance(share.fraction())
    }

    /// A Gilbert channel: after a loss the next is more likely, so that the share stays and neighbours correlate.
    fn loses(&mut self, loss: &NetLoss) -> bool {
        let (share, alike) = (loss.share.fraction(), loss.correlation.fraction());
        let now = match self.is_losing {
            true => share + alike * (1.0 - share),
            false => share * (1.0 - alike),
        };
        self.is_losing = self.dice.chance(now);
        self.is_losing
    }

    fn pace(&mut self, rate: &NetRate, now: Instant, length: u32) -> Decision {
        let free = self.last.map_or(now, |last| last.max(now));
        let wait = free - now;
        if wait > rate.queue.duration() {
            return Decision {
                course: Course::NoRoom,
                due: now,
                is_hit: false,
            };
        }
        let seconds = f64::from(length) / rate.rate.per_second().0 as f64;
        let due = free + Duration::from_secs_f64(seconds);
        self.last = Some(due);
        Decision {
            course: Course::Plain,
            due,
            is_hit: !wait.is_zero(),
        }
    }

    fn delay(&mut self, delay: &NetDelay) -> Duration {
        let middle = delay.delay.duration();
        if delay.jitter.duration().is_zero() {
            return middle;
        }
        // A normal process of the first order, carried over to the distribution: each draw alone is spread as asked.
        let alike = delay.correlation.fraction();
        let fresh = (1.0 - alike * alike).sqrt() * self.dice.normal();
        self.deviation = alike * self.deviation + fresh;
        let jitters = match delay.distribution {
            Distribution::Uniform => 2.0 * normal_share(self.deviation) - 1.0,
            Distribution::Normal => self.deviation.clamp(-TABLE_END, TABLE_END),
            Distribution::Pareto => pareto(1.0 - normal_share(self.deviation)),
        };
        let seconds = middle.as_secs_f64() + jitters * delay.jitter.as_secs_f64();
        Duration::from_secs_f64(seconds.max(0.0))
    }
}

/// Where netem's tables end.
const TABLE_END: f64 = 4.0;

/// What netem's table `pareto` has at `share`: a Pareto distribution of shape 3, shifted, stretched and cut off.
fn pareto(share: f64) -> f64 {
    let drawn = share.max(f64::MIN_POSITIVE).powf(-1.0 / 3.0);
    ((drawn - 1.5) * 16.0 / 3.0).min(TABLE_END)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decider(text: &str) -> Decider {
        Decider::new(&serde_yaml::from_str(text).unwrap(), 42)
    }

    /// Delays of `number` packets that come in a second apart, in milliseconds.
    fn delays(text: &str, number: u64) -> Vec<f64> {
        let mut decider = decider(text);
        let start = Instant::now();
        let delay = |second| {
            let now = start + Duration::from_secs(second);
            (decider.decide(now, 100).due - now).as_secs_f64() * 1e3
        };
        (0..number).map(delay).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn deviation(values: &[f64]) -> f64 {
        let mean = mean(values);
        let squares = values.iter().map(|value| (value - mean).powi(2));
        (squares.sum::<f64>() / values.len() as f64).sqrt()
    }

    /// How much a value is like the one before.
    fn correlation(values: &[f64]) -> f64 {
        let (mean, deviation) = (mean(values), deviation(values));
        let products = values.windows(2).map(|w| (w[0] - mean) * (w[1] - mean));
        products.sum::<f64>() / (values.len() - 1) as f64 / deviation.powi(2)
    }

    fn near(value: f64, expected: f64, tolerance: f64) {
        assert!(
            (value - expected).abs() <= tolerance,
            "{value}, not {expected}"
        );
    }

    #[test]
    fn without_jitter_all_wait_equally_long() {
        assert_eq!(delays("{delay: {delay: 40ms}}", 3), [40.0; 3]);
    }

    #[test]
    fn uniform_jitter_stays_in_its_bounds_and_reaches_them() {
        let drawn = delays("{delay: {delay: 40ms, jitter: 10ms}}", 20_000);
        assert!(drawn.iter().all(|delay| (29.999..=50.001).contains(delay)));
        near(mean(&drawn), 40.0, 0.2);
        near(deviation(&drawn), 20.0 / 12_f64.sqrt(), 0.1);
        near(correlation(&drawn), 0.0, 0.03);
    }

    #[test]
    fn correlation_keeps_the_spread() {
        for (distribution, spread) in [("uniform", 20.0 / 12_f64.sqrt()), ("normal", 10.0)] {
            let text = format!(
                "{{delay: {{delay: 60ms, jitter: 10ms, distribution: {distribution}, correlation: 80%}}}}"
            );
            let drawn = delays(&text, 40_000);
            near(mean(&drawn), 60.0, 0.6);
            near(deviation(&drawn), spread, 0.3);
            near(correlation(&drawn), 0.8, 0.03);
        }
    }

    #[test]
    fn pareto_is_that_of_netem() {
        let drawn = delays(
            "{delay: {delay: 100ms, jitter: 10ms, distribution: pareto}}",
            40_000,
        );
        let least = drawn.iter().copied().fold(f64::MAX, f64::min);
        let most = drawn.iter().copied().fold(0.0, f64::max);
        near(least, 100.0 - 26.7, 0.1);
        near(most, 140.0, 0.001);
        let below = drawn.iter().filter(|delay| **delay < 100.0).count();
        // Its middle lies where the distribution's mean was: 70.4 % are below.
        near(below as f64 / drawn.len() as f64, 0.704, 0.01);
    }

    /// The order in which packets that come in 10 us apart are due.
    fn is_ordered(text: &str) -> bool {
        let mut decider = decider(text);
        let start = Instant::now();
        let due = |number| {
            let now = start + Duration::from_micros(10) * number;
            decider.decide(now, 100).due
        };
        (0..1000).map(due).collect::<Vec<_>>().is_sorted()
    }

    #[test]
    fn jitter_lets_packets_overtake_only_when_told() {
        assert!(is_ordered("{delay: {delay: 40ms, jitter: 40ms}}"));
        assert!(!is_ordered(
            "{delay: {delay: 40ms, jitter: 40ms, order: free}}"
        ));
        assert!(!is_ordered("{reorder: {share: 5%, delay: 1ms}}"));
    }

    #[test]
    fn losses_have_their_share_alone_or_in_bursts() {
        for (alike, correlated) in [("0%", 0.0), ("60%", 0.6)] {
            let mut decider = decider(&format!("{{loss: {{share: 10%, correlation: {alike}}}}}"));
            let now = Instant::now();
            let lost = |_| f64::from(u8::from(decider.decide(now, 100).course == Course::Lost));
            let lost: Vec<f64> = (0..100_000).map(lost).collect();
            near(mean(&lost), 0.1, 0.01);
            near(correlation(&lost), correlated, 0.03);
        }
    }

    #[test]
    fn some_are_doubled_or_damaged() {
        let now = Instant::now();
        let count = |text: &str, wanted: fn(Course) -> bool| {
            let mut decider = decider(text);
            let hit = (0..100_000).filter(|_| {
                let decision = decider.decide(now, 100);
                assert_eq!(
                    (decision.due, decision.is_hit),
                    (now, wanted(decision.course))
                );
                decision.is_hit
            });
            hit.count() as f64 / 1e5
        };
        let twice = count("{duplicate: {share: 2%}}", |course| course == Course::Twice);
        near(twice, 0.02, 0.002);
        let damaged = count("{corrupt: {share: 2%}}", |course| {
            matches!(course, Course::Damaged(_))
        });
        near(damaged, 0.02, 0.002);
    }

    #[test]
    fn a_rate_makes_packets_wait_for_their_turn_until_there_is_no_room() {
        let mut decider = decider("{rate: {rate: 1MB/s, queue: 5ms}}");
        let now = Instant::now();
        let decisions: Vec<Decision> = (0..10).map(|_| decider.decide(now, 1000)).collect();
        let passed = decisions.iter().filter(|d| d.course == Course::Plain);
        let waits: Vec<u128> = passed.map(|d| (d.due - now).as_micros()).collect();
        assert_eq!(waits, [1000, 2000, 3000, 4000, 5000, 6000]);
        assert_eq!(decisions[9].course, Course::NoRoom);
        assert!(!decisions[0].is_hit && decisions[1].is_hit);
        let later = decider.decide(now + Duration::from_secs(1), 500);
        assert_eq!((later.due - now).as_micros(), 1_000_500);
    }
}
