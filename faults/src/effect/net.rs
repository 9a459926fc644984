use vocab::units::{Share, Span};

use super::{Both, Effect, without};
use crate::reading::Probe;
use crate::spec::{NetDelay, NetRate};

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
    if delay.jitter == Span::ZERO && during < asked - (0.05 * asked).max(1.0) {
        return Effect::Impure {
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

/// A fault that does something to a share of all packets, which `echoes` would show.
pub(super) fn some(share: Share, echoes: Probe, what: &str, probes: &Both<'_>) -> Effect {
    if let Some(flaw) = flaw(probes) {
        return flaw;
    }
    let more = probes
        .during(echoes)
        .zip(probes.before(echoes))
        .map(|(during, before)| during - before);
    let hit = probes.during(Probe::HitPackets);
    if more.is_some_and(|more| more > 0.0) || hit.is_some_and(|hit| hit > 0.0) {
        return Effect::Bit;
    }
    let through = probes.during(Probe::DelayedPackets).unwrap_or_default();
    match hit {
        Some(_) if through * share.fraction() >= PROOF => {
            without(format!("none of {through} packets was {what}"))
        }
        _ => Effect::Bit,
    }
}

/// Counters are read a moment apart, and a bucket may be full to begin with.
const RATE_TOLERANCE: f64 = 1.25;

pub(super) fn rate(rate: &NetRate, probes: &Both<'_>) -> Effect {
    let asked = rate.rate.per_second().0 as f64;
    let sent = probes.during(Probe::SentRate);
    if let Some(sent) = sent.filter(|sent| *sent > RATE_TOLERANCE * asked + 10_000.0) {
        return without(format!(
            "the node sent {sent:.0} bytes per second, limited to {}",
            rate.rate
        ));
    }
    match (probes.during(Probe::PacedPackets), sent) {
        (Some(0.0), Some(sent)) => without(format!(
            "the node sent {sent:.0} bytes per second and never wanted more than {}",
            rate.rate
        )),
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
        let during = |sent, paced| [(SentRate, sent), (PacedPackets, paced)];
        assert_eq!(judge(kind, &[], &during(0.99e6, 400.0)), Effect::Bit);
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
