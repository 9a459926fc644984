//! What a network fault does to packets, whichever back end does it.

use std::fmt;
use std::time::Duration;

use node::tool::tc::{Netem, Qdisc, Spread, Tbf};
use serde::{Deserialize, Serialize};

use crate::spec::{
    Distribution, NetCorrupt, NetDelay, NetDuplicate, NetLoss, NetRate, NetReorder, Order,
};

/// What is done to packets on their way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impairment {
    /// All leave late.
    Delay(NetDelay),
    /// Some get lost.
    Loss(NetLoss),
    /// Some leave late, so that others overtake them.
    Reorder(NetReorder),
    /// Some arrive twice.
    Duplicate(NetDuplicate),
    /// Some arrive damaged.
    Corrupt(NetCorrupt),
    /// Only so much leaves in a second.
    Rate(NetRate),
}

impl Impairment {
    /// The fault's name in the experiment file.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Impairment::Delay(_) => "net.delay",
            Impairment::Loss(_) => "net.loss",
            Impairment::Reorder(_) => "net.reorder",
            Impairment::Duplicate(_) => "net.duplicate",
            Impairment::Corrupt(_) => "net.corrupt",
            Impairment::Rate(_) => "net.rate",
        }
    }

    /// The longest that a packet is kept on purpose.
    pub(crate) fn longest(&self) -> Duration {
        match self {
            Impairment::Delay(delay) => match delay.distribution {
                Distribution::Uniform => delay.delay.duration() + delay.jitter.duration(),
                // Their tables end at four times the jitter.
                Distribution::Normal | Distribution::Pareto => {
                    delay.delay.duration() + 4 * delay.jitter.duration()
                }
            },
            Impairment::Reorder(reorder) => reorder.delay.duration(),
            Impairment::Rate(rate) => rate.queue.duration(),
            Impairment::Loss(_) | Impairment::Duplicate(_) | Impairment::Corrupt(_) => {
                Duration::ZERO
            }
        }
    }

    /// How many packets must be able to wait, so that none is lost that should not be.
    pub(crate) fn queue_length(&self) -> u32 {
        match self {
            Impairment::Rate(rate) => {
                let bytes = rate.rate.per_second().0 as f64 * rate.queue.as_secs_f64();
                ((bytes / SMALLEST_PACKET).ceil() as u32).max(10_000)
            }
            _ => Netem::limit_for(self.longest()),
        }
    }

    /// The same as a queue of the kernel's netem.
    pub(crate) fn netem(&self) -> Netem {
        let idle = Netem::idle(self.queue_length());
        match self {
            Impairment::Delay(delay) => Netem {
                delay: delay.delay.duration(),
                jitter: delay.jitter.duration(),
                correlation: delay.correlation,
                spread: match delay.distribution {
                    Distribution::Uniform => Spread::Uniform,
                    Distribution::Normal => Spread::Normal,
                    Distribution::Pareto => Spread::Pareto,
                },
                in_order: delay.order == Order::Keep,
                ..idle
            },
            Impairment::Loss(loss) => Netem {
                loss: loss.share,
                loss_correlation: loss.correlation,
                ..idle
            },
            Impairment::Reorder(reorder) => Netem {
                delay: reorder.delay.duration(),
                held: Some(reorder.share),
                ..idle
            },
            Impairment::Duplicate(duplicate) => Netem {
                duplicate: duplicate.share,
                ..idle
            },
            Impairment::Corrupt(corrupt) => Netem {
                corrupt: corrupt.share,
                ..idle
            },
            Impairment::Rate(rate) => Netem {
                rate: Some(rate.rate),
                limit: full_size_packets(rate),
                ..idle
            },
        }
    }

    /// The same as a token bucket of the kernel, if that can do it.
    pub(crate) fn tbf(&self) -> Option<Qdisc> {
        match self {
            Impairment::Rate(rate) => Some(Qdisc::Tbf(Tbf::new(rate.rate, rate.queue.duration()))),
            _ => None,
        }
    }
}

/// No packet is shorter, in bytes.
const SMALLEST_PACKET: f64 = 40.0;

/// How many full-size packets leave within the time that a packet may wait.
fn full_size_packets(rate: &NetRate) -> u32 {
    let bytes = rate.rate.per_second().0 as f64 * rate.queue.as_secs_f64();
    ((bytes / 1500.0).ceil() as u32).max(2)
}

impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Impairment::Delay(delay) => write!(f, "delayed by {delay}"),
            Impairment::Loss(loss) => write!(f, "lost to {loss}"),
            Impairment::Reorder(reorder) => write!(f, "held back to {reorder}"),
            Impairment::Duplicate(duplicate) => write!(f, "duplicated to {duplicate}"),
            Impairment::Corrupt(corrupt) => write!(f, "corrupted to {corrupt}"),
            Impairment::Rate(rate) => write!(f, "limited to {rate}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impairment(text: &str) -> Impairment {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn queues_hold_the_longest_delay_of_a_distribution() {
        let delay = impairment("{delay: {delay: 400ms, jitter: 100ms}}");
        assert_eq!(delay.longest(), Duration::from_millis(500));
        assert_eq!(delay.queue_length(), 625_000);
        let normal = "{delay: {delay: 400ms, jitter: 100ms, distribution: normal}}";
        assert_eq!(impairment(normal).longest(), Duration::from_millis(800));
        assert_eq!(impairment("{loss: {share: 1%}}").queue_length(), 10_000);
    }

    #[test]
    fn a_rate_queues_no_more_than_it_is_told() {
        let rate = impairment("{rate: {rate: 1.5MB/s, queue: 100ms}}");
        assert_eq!(rate.netem().limit, 100);
        assert!(matches!(rate.tbf(), Some(Qdisc::Tbf(_))));
        assert!(impairment("{loss: {share: 1%}}").tbf().is_none());
    }
}
