//! Whether a memory fault bit.

use super::{Both, Effect, without};
use crate::reading::Probe;
use crate::spec::MemoryContention;

pub(super) fn limit(probes: &Both<'_>) -> Effect {
    let readings = (
        probes.during(Probe::MemoryLimitHits),
        probes.during(Probe::MemoryUsage),
        probes.during(Probe::MemoryLimit),
    );
    match readings {
        (_, Some(usage), Some(limit)) if usage > limit + probes.tolerance.width(limit, 1.0) => {
            Effect::Outside {
                reason: format!(
                    "the server used {:.1} MB, limited to {:.1} MB",
                    usage / 1e6,
                    limit / 1e6
                ),
            }
        }
        (Some(0.0), Some(usage), Some(limit)) => without(format!(
            "the server used {:.1} MB and never reached its limit of {:.1} MB",
            usage / 1e6,
            limit / 1e6
        )),
        _ => Effect::Bit,
    }
}

pub(super) fn contention(asked: &MemoryContention, probes: &Both<'_>) -> Effect {
    let bytes = asked.bytes.0 as f64;
    if let Some(held) = probes
        .during(Probe::ContentionMemory)
        .filter(|held| *held < 0.9 * bytes)
    {
        return without(format!(
            "the competing program held {:.1} MB of {:.1} MB",
            held / 1e6,
            bytes / 1e6
        ));
    }
    let wanted = asked.rate.map_or(1.0, |rate| rate.per_second().0 as f64);
    let Some(rate) = probes.during(Probe::ContentionTouchRate) else {
        return Effect::Bit;
    };
    let reason = format!(
        "the competing program touched {:.1} MB/s of {:.1} MB/s",
        rate / 1e6,
        wanted / 1e6
    );
    match rate {
        rate if rate < 0.5 * wanted => without(reason),
        // What the machine's load keeps it from is no property of the fault.
        rate if rate < wanted - probes.tolerance.width(wanted, 1.0) => Effect::Unproven { reason },
        _ => Effect::Bit,
    }
}
