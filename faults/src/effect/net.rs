use vocab::units::{Share, Span};

use super::{Both, Effect, without};
use crate::reading::Probe;
use crate::spec::{NetDelay, NetRate};
use crate::tolerance::Tolerance;

/// A queue that packets went through on their way, if it can be told.
fn flaw(probes: &Both<'_>) -> Option<Effect> {
    let dropped = probes.during(Probe::DroppedPackets);
    if let Some(dropped) = dropped.filter(|dropped| *dropped > 0.0) {
        return Some(Effect::Impure {
            reason: format!("its queue had no room for {dropped} packets"),
        });
    }
    let through = probes.during(Probe::DelayedPackets);
    (through == Some(0.0)).then(|| without("no packet went the way of the fault".to_owned()))
}

pub(super) fn delay(delay: &NetDelay, probes: &Both<'_>) -> Effect {
    if let Some(flaw) = flaw(probes) {
        return flaw;
    }
    let (Some(before), Some(during)) = (
        probes.before(Probe::RoundTrip),
        probes.during(Probe::RoundTrip),
    ) else {
        return Effect::Bit;
    };
    let gained = during - before;
    let asked = delay.delay.as_secs_f64() * 1e3;
    if gained < 0.5 * asked {
        return without(format!(
            "the round trip took {during:.2} ms, {before:.2} ms before, with a delay of {}",
            delay.delay
        ));
    }
    // No load makes a round trip shorter than the delay in it.
    if delay.jitter == Span::ZERO && during < asked - probes.tolerance.width(asked, 1.0) {
        return Effect::Outside {
            reason: format!(
                "the round trip took {during:.2} ms, which is less than the delay of {}",
                delay.delay
            ),
        };
    }
    Effect::Bit
}

/// Fewer packets than this that should have been hit prove nothing when none was.
const PROOF: f64 = 8.0;

/// What is drawn for each packet.
#[derive(Clone, Copy)]
pub(super) struct Drawn {
    share: Share,
    correlation: Share,
}

impl Drawn {
    /// Each for itself.
    pub(super) fn fairly(share: Share) -> Drawn {
        Drawn::alike(share, Share::NONE)
    }

    /// So that a packet fares as the one before more often.
    pub(super) fn alike(share: Share, correlation: Share) -> Drawn {
        Drawn { share, correlation }
    }

    /// As many fair draws deviate as these do.
    fn fair(self, packets: f64) -> f64 {
        let alike = self.correlation.fraction();
        packets * (1.0 - alike) / (1.0 + alike)
    }

    /// Whether the share of those hit is as asked, as far as so many packets can tell.
    fn judge(self, hit: f64, through: f64, what: &str, tolerance: Tolerance) -> Effect {
        let (asked, fair) = (100.0 * self.share.fraction(), self.fair(through));
        if fair * self.share.fraction() < PROOF || tolerance.holds(asked, hit, fair) {
            return Effect::Bit;
        }
        let reason = format!(
            "{hit:.2}% of {through} packets were {what}, and {} of them were to be",
            self.share
        );
        match tolerance.may_be_chance(asked, hit, fair) {
            true => Effect::Unproven { reason },
            false => Effect::Outside { reason },
        }
    }
}

/// A fault that does something to a share of all packets, which `echoes` would show.
pub(super) fn some(drawn: Drawn, echoes: Probe, what: &str, probes: &Both<'_>) -> Effect {
    if let Some(flaw) = flaw(probes) {
        return flaw;
    }
    let more = probes
        .during(echoes)
        .zip(probes.before(echoes))
        .map(|(during, before)| during - before);
    let hit = probes.during(Probe::HitPackets);
    let through = probes.during(Probe::DelayedPackets).unwrap_or_default();
    match hit {
        Some(0.0) if more.is_none_or(|more| more <= 0.0) => {
            match through * drawn.share.fraction() >= PROOF {
                true => without(format!("none of {through} packets was {what}")),
                false => Effect::Bit,
            }
        }
        // The line counts what it does; of what else became of the echoes the network has its share.
        Some(hit) if hit > 0.0 => drawn.judge(hit, through, what, probes.tolerance),
        _ => Effect::Bit,
    }
}

pub(super) fn rate(rate: &NetRate, probes: &Both<'_>) -> Effect {
    let asked = rate.rate.per_second().0 as f64;
    let sent = probes.during(Probe::SentRate);
    let over = |(sent, allowed): &(f64, f64)| *sent > allowed + probes.tolerance.width(asked, 1.0);
    let rates = sent.zip(probes.during(Probe::AllowedRate)).filter(over);
    if let Some((sent, allowed)) = rates {
        return Effect::Outside {
            reason: format!(
                "the node sent {sent:.0} bytes per second, and may have sent no more than {allowed:.0} in that time, limited to {}",
                rate.rate
            ),
        };
    }
    // A node that sends less may want less: packets that come in bursts have to wait, too.
    match (probes.during(Probe::PacedPackets), sent) {
        (Some(0.0), Some(sent)) => without(format!(
            "the node sent {sent:.0} bytes per second and never wanted more than {}",
            rate.rate
        )),
        (None, Some(sent)) if sent < asked - probes.tolerance.width(asked, 1.0) => {
            Effect::Unproven {
                reason: format!(
                    "the node sent {sent:.0} bytes per second, limited to {}, and the kernel does not count what had to wait",
                    rate.rate
                ),
            }
        }
        _ => Effect::Bit,
    }
}

pub(super) fn partition(probes: &Both<'_>) -> Effect {
    let reached = probes
        .during(Probe::LostEchoes)
        .zip(probes.before(Probe::LostEchoes))
        .filter(|(during, before)| *during < 100.0 && *before < 100.0);
    if let Some((lost, _)) = reached {
        return without(format!(
            "{:.0}% of the echoes came through all the same",
            100.0 - lost
        ));
    }
    match probes.during(Probe::CutPackets) {
        Some(0.0) => without("nothing was sent that could have been cut off".to_owned()),
        _ => Effect::Bit,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Effect, effect};
    use crate::reading::Probe::{self, *};

    fn judge(kind: &str, before: &[(Probe, f64)], during: &[(Probe, f64)]) -> Effect {
        let readings = |pairs: &[(Probe, f64)]| -> Vec<_> {
            let pairs = pairs.iter();
            pairs.map(|(probe, value)| probe.reading(*value)).collect()
        };
        let kind = serde_yaml::from_str(kind).unwrap();
        effect(&kind, &readings(before), &readings(during))
    }

    fn objects(effect: &Effect, text: &str) {
        let objection = effect.objection().unwrap_or_default();
        assert!(objection.contains(text), "{effect}");
    }

    #[test]
    fn a_delay_bites_when_the_round_trip_grows_and_nothing_is_lost() {
        let kind = "{net.delay: {delay: 40ms}}";
        let before = [(RoundTrip, 0.1)];
        let good = [(RoundTrip, 40.1), (DroppedPackets, 0.0)];
        assert_eq!(judge(kind, &before, &good), Effect::Bit);
        objects(&judge(kind, &before, &[(RoundTrip, 0.1)]), "0.10 ms before");
        objects(
            &judge(kind, &before, &[(RoundTrip, 37.9)]),
            "less than the delay",
        );
        let jittered = "{net.delay: {delay: 40ms, jitter: 20ms}}";
        assert_eq!(judge(jittered, &before, &[(RoundTrip, 37.9)]), Effect::Bit);
        let lossy = judge(kind, &before, &[(RoundTrip, 40.1), (DroppedPackets, 3.0)]);
        assert!(matches!(lossy, Effect::Impure { .. }));
        // A link between two nodes, seen from the hub: only the queue can tell.
        objects(&judge(kind, &[], &[(DelayedPackets, 0.0)]), "no packet");
        assert_eq!(judge(kind, &[], &[(DelayedPackets, 9.0)]), Effect::Bit);
    }

    #[test]
    fn a_loss_bites_when_packets_or_echoes_are_lost() {
        let kind = "{net.loss: {share: 10%}}";
        let queue = |hit, through| [(HitPackets, hit), (DelayedPackets, through)];
        assert_eq!(judge(kind, &[], &queue(9.0, 1000.0)), Effect::Bit);
        // 1000 draws of one in ten deviate by 0.95 points: more than three of them, and more than five.
        let chance = judge(kind, &[], &queue(13.5, 1000.0));
        assert!(matches!(chance, Effect::Unproven { .. }), "{chance}");
        let missed = judge(kind, &[], &queue(15.0, 1000.0));
        objects(&missed, "15.00% of 1000 packets were lost, and 10%");
        let alike = "{net.loss: {share: 10%, correlation: 80%}}";
        assert_eq!(judge(alike, &[], &queue(15.0, 1000.0)), Effect::Bit);
        objects(
            &judge(kind, &[], &queue(0.0, 1000.0)),
            "none of 1000 packets was lost",
        );
        assert_eq!(
            judge(kind, &[], &queue(0.0, 10.0)),
            Effect::Bit,
            "too few to tell"
        );
        let echoes = |share| {
            [
                (LostEchoes, share),
                (HitPackets, 0.0),
                (DelayedPackets, 1000.0),
            ]
        };
        assert_eq!(judge(kind, &[(LostEchoes, 0.0)], &echoes(9.5)), Effect::Bit);
        objects(&judge(kind, &[(LostEchoes, 1.0)], &echoes(1.0)), "none of");
    }

    #[test]
    fn a_rate_bites_when_it_is_reached_and_held() {
        let kind = "{net.rate: {rate: 1MB/s}}";
        // A window of a second, and a queue of a tenth.
        let during = |sent, paced| {
            [
                (SentRate, sent),
                (PacedPackets, paced),
                (AllowedRate, 1.109e6),
            ]
        };
        assert_eq!(judge(kind, &[], &during(0.99e6, 400.0)), Effect::Bit);
        assert_eq!(judge(kind, &[], &during(1.15e6, 400.0)), Effect::Bit);
        let outside = judge(kind, &[], &during(1.17e6, 400.0));
        assert!(matches!(outside, Effect::Outside { .. }), "{outside}");
        objects(&outside, "sent 1170000 bytes per second");
        let uncounted = judge(kind, &[], &[(SentRate, 2e4), (AllowedRate, 1.1e6)]);
        assert!(matches!(uncounted, Effect::Unproven { .. }), "{uncounted}");
        objects(&judge(kind, &[], &during(2e4, 0.0)), "never wanted more");
        objects(&judge(kind, &[], &during(3e6, 400.0)), "limited to 1MB/s");
    }

    #[test]
    fn a_partition_bites_when_nothing_comes_through() {
        let kind = "{net.partition: {}}";
        let before = [(LostEchoes, 0.0)];
        let during = |lost, cut| [(LostEchoes, lost), (CutPackets, cut)];
        assert_eq!(judge(kind, &before, &during(100.0, 7.0)), Effect::Bit);
        objects(
            &judge(kind, &before, &during(0.0, 0.0)),
            "100% of the echoes",
        );
        objects(&judge(kind, &[], &[(CutPackets, 0.0)]), "nothing was sent");
    }
}
