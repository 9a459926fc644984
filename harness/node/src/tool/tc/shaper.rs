use std::time::Duration;

use vocab::units::{ByteRate, Share};

use super::{micros, percent};

/// What netem does to packets that leave through a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Netem {
    /// One-way delay.
    pub delay: Duration,
    /// Deviation of the delay; zero for none.
    pub jitter: Duration,
    /// How much a packet's delay is like the one before.
    pub correlation: Share,
    /// How the deviation spreads.
    pub spread: Spread,
    /// Whether packets leave in the order they came in, in spite of their deviations.
    pub in_order: bool,
    /// Packets dropped.
    pub loss: Share,
    /// How much more likely a drop is after a drop; the share stays.
    pub loss_correlation: Share,
    /// Packets sent twice.
    pub duplicate: Share,
    /// Packets in which a bit is flipped.
    pub corrupt: Share,
    /// Packets that are delayed, the others leaving at once; all when `None`.
    pub held: Option<Share>,
    /// What leaves in a second at most.
    pub rate: Option<ByteRate>,
    /// Packets it holds at most; more are dropped, so it must exceed rate times delay.
    pub limit: u32,
}

/// How delays spread around their middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spread {
    /// Evenly.
    #[default]
    Uniform,
    /// By iproute2's table `normal`.
    Normal,
    /// By iproute2's table `pareto`.
    Pareto,
}

impl Netem {
    /// One that does nothing yet, and holds `limit` packets.
    pub fn idle(limit: u32) -> Netem {
        Netem {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            correlation: Share::NONE,
            spread: Spread::Uniform,
            in_order: false,
            loss: Share::NONE,
            loss_correlation: Share::NONE,
            duplicate: Share::NONE,
            corrupt: Share::NONE,
            held: None,
            rate: None,
            limit,
        }
    }

    /// A pure delay whose queue holds what 10 Gbit/s of full-size packets puts into it, and at least 10,000 packets.
    pub fn delay(delay: Duration, jitter: Duration) -> Netem {
        Netem {
            delay,
            jitter,
            ..Netem::idle(Netem::limit_for(delay + jitter))
        }
    }

    /// How many packets a queue must hold that delays by up to `longest`: 10 Gbit/s of full-size packets and half as
    /// many again, and at least 10,000.
    pub fn limit_for(longest: Duration) -> u32 {
        let packets_per_second = 10e9 / 8.0 / 1500.0;
        let held = packets_per_second * longest.as_secs_f64() * 1.5;
        (held.ceil() as u32).max(10_000)
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["netem".into(), "limit".into(), self.limit.to_string()];
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|w| (*w).to_owned()));
        if !self.delay.is_zero() || !self.jitter.is_zero() {
            add(&["delay", &micros(self.delay)]);
        }
        if !self.jitter.is_zero() {
            add(&[&micros(self.jitter)]);
            if self.correlation > Share::NONE {
                add(&[&percent(self.correlation)]);
            }
            match self.spread {
                Spread::Uniform => {}
                Spread::Normal => add(&["distribution", "normal"]),
                Spread::Pareto => add(&["distribution", "pareto"]),
            }
        }
        if let Some(held) = self.held {
            add(&["reorder", &percent_of(1.0 - held.fraction())]);
        }
        if self.loss > Share::NONE {
            add(&self.loss_arguments().each_ref().map(String::as_str));
        }
        if self.duplicate > Share::NONE {
            add(&["duplicate", &percent(self.duplicate)]);
        }
        if self.corrupt > Share::NONE {
            add(&["corrupt", &percent(self.corrupt)]);
        }
        match self.rate {
            Some(rate) => add(&["rate", &format!("{}bps", rate.per_second().0)]),
            // With a rate, netem starts a packet's delay when the packet before has left; this one is never reached.
            None if self.in_order && !self.jitter.is_zero() => add(&["rate", "1tbit"]),
            None => {}
        }
        arguments
    }

    /// The two states of a Gilbert channel: from delivering to losing, and back, so that the share of losses is `loss`.
    fn loss_arguments(&self) -> [String; 4] {
        let (share, stay) = (self.loss.fraction(), self.loss_correlation.fraction());
        [
            "loss".to_owned(),
            "gemodel".to_owned(),
            percent_of(share * (1.0 - stay)),
            percent_of((1.0 - share) * (1.0 - stay)),
        ]
    }
}

fn percent_of(fraction: f64) -> String {
    percent(Share::from_fraction(fraction).unwrap_or(Share::NONE))
}

/// A token bucket: at most `rate` leaves a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tbf {
    /// The rate held.
    pub rate: ByteRate,
    /// Bytes that may leave at once.
    pub burst: u32,
    /// How long a packet may wait before it is dropped.
    pub latency: Duration,
}

impl Tbf {
    /// At `rate`, in bursts of a few milliseconds and at least two full-size packets.
    pub fn new(rate: ByteRate, latency: Duration) -> Tbf {
        let in_5_ms = rate.per_second().0 / 200;
        Tbf {
            rate,
            burst: u32::try_from(in_5_ms).unwrap_or(u32::MAX).max(3_200),
            latency,
        }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        vec![
            "tbf".into(),
            "rate".into(),
            format!("{}bps", self.rate.per_second().0),
            "burst".into(),
            self.burst.to_string(),
            "latency".into(),
            micros(self.latency),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(netem: &Netem) -> String {
        netem.arguments().join(" ")
    }

    #[test]
    fn a_delay_holds_what_a_fast_link_puts_into_it() {
        let netem = Netem::delay(Duration::from_millis(40), Duration::from_micros(500));
        assert_eq!(written(&netem), "netem limit 50625 delay 40000us 500us");
    }

    #[test]
    fn jitter_is_spread_and_correlated_and_kept_in_order() {
        let netem = Netem {
            correlation: "25%".parse().unwrap(),
            spread: Spread::Normal,
            in_order: true,
            ..Netem::delay(Duration::from_millis(1), Duration::from_micros(500))
        };
        assert_eq!(
            written(&netem),
            "netem limit 10000 delay 1000us 500us 25.000000% distribution normal rate 1tbit"
        );
    }

    #[test]
    fn losses_keep_their_share_when_they_come_in_bursts() {
        let loss = |correlation: &str| Netem {
            loss: "10%".parse().unwrap(),
            loss_correlation: correlation.parse().unwrap(),
            ..Netem::idle(1000)
        };
        let alone = "netem limit 1000 loss gemodel 10.000000% 90.000000%";
        assert_eq!(written(&loss("0%")), alone);
        let bursts = "netem limit 1000 loss gemodel 5.000000% 45.000000%";
        assert_eq!(written(&loss("50%")), bursts);
    }

    #[test]
    fn what_is_held_back_is_what_netem_does_not_send_at_once() {
        let netem = Netem {
            held: Some("5%".parse().unwrap()),
            duplicate: "1%".parse().unwrap(),
            corrupt: "2.5%".parse().unwrap(),
            ..Netem::delay(Duration::from_millis(10), Duration::ZERO)
        };
        assert_eq!(
            written(&netem),
            "netem limit 12500 delay 10000us reorder 95.000000% duplicate 1.000000% corrupt 2.500000%"
        );
    }

    #[test]
    fn a_rate_is_in_bytes() {
        let tbf = Tbf::new("128KB/s".parse().unwrap(), Duration::from_millis(50));
        assert_eq!(
            tbf.arguments().join(" "),
            "tbf rate 128000bps burst 3200 latency 50000us"
        );
        let netem = Netem {
            rate: Some("128KB/s".parse().unwrap()),
            ..Netem::idle(1000)
        };
        assert_eq!(written(&netem), "netem limit 1000 rate 128000bps");
    }
}
