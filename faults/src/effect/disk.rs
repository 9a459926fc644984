//! Whether a disk fault bit.

use super::{Both, Effect, without};
use crate::reading::Probe;
use crate::spec::{DelayedBy, DiskLatency};

/// The kernel keeps a delay of a device to a tick of its timers, the longest of which is this, in milliseconds.
const TICK_MS: f64 = 10.0;

/// A server that gets this part of its limit wants more.
const USED_UP: f64 = 0.7;

/// Writes this much slower are slowed by the fault and not by chance, in milliseconds.
const FELT_MS: f64 = 1.0;

/// Whether synced writes take longer than by this factor; `None` if that was not measured.
fn write_is_slower(probes: &Both<'_>, factor: f64) -> Option<bool> {
    let before = probes.before(Probe::SyncedWrite)?;
    let during = probes.during(Probe::SyncedWrite)?;
    Some(during > before * factor + FELT_MS)
}

pub(super) fn throughput(limit: f64, probes: &Both<'_>) -> Effect {
    let rates = [Probe::DiskReadRate, Probe::DiskWriteRate];
    let most = rates
        .into_iter()
        .filter_map(|rate| probes.during(rate))
        .reduce(f64::max);
    let told = |rate: f64| format!("{:.1} KB/s", rate / 1e3);
    let rates = most.zip(probes.during(Probe::AllowedRate));
    limited(limit, rates, most, probes, told)
}

pub(super) fn operations(limit: f64, probes: &Both<'_>) -> Effect {
    let most = probes.during(Probe::DiskOperations);
    let rates = most.zip(probes.during(Probe::AllowedOperations));
    limited(limit, rates, most, probes, |rate| {
        format!("{rate:.1} operations/s")
    })
}

/// `rates` are what the server got and what it may have had.
fn limited(
    limit: f64,
    rates: Option<(f64, f64)>,
    most: Option<f64>,
    probes: &Both<'_>,
    told: impl Fn(f64) -> String,
) -> Effect {
    let over = |(got, allowed): &(f64, f64)| *got > allowed + probes.tolerance.width(limit, 1.0);
    if let Some((got, allowed)) = rates.filter(over) {
        return Effect::Outside {
            reason: format!(
                "the server got {}, and may have had no more than {} in that time, limited to {}",
                told(got),
                told(allowed),
                told(limit)
            ),
        };
    }
    let unseen = probes.during(Probe::UnseenWrites).unwrap_or_default();
    let charged = probes.during(Probe::DiskWriteRate).unwrap_or_default();
    let felt = write_is_slower(probes, 2.0);
    let used_up = most.map(|most| most >= limit * USED_UP);
    if unseen > charged && unseen > 64e3 && felt != Some(true) {
        return Effect::Impure {
            reason: format!(
                "the server wrote {:.1} KB/s past the limit: buffered writes that it does not sync, which cgroup v1 does not see",
                unseen / 1e3
            ),
        };
    }
    match (felt, used_up) {
        (Some(false), Some(false)) => without(format!(
            "the server asked for {} and never reached its limit of {}",
            told(most.unwrap_or_default()),
            told(limit)
        )),
        (None, None) => Effect::Unproven {
            reason: "the kernel does not count what the server asks of its disk, and no synced write was timed".to_owned(),
        },
        _ => Effect::Bit,
    }
}

pub(super) fn contention(probes: &Both<'_>) -> Effect {
    let rate = probes.during(Probe::ContentionWriteRate);
    if let Some(rate) = rate.filter(|rate| *rate < 1.0) {
        return without(format!("the competing program wrote {rate:.1} B/s"));
    }
    let writes = (
        probes.before(Probe::SyncedWrite),
        probes.during(Probe::SyncedWrite),
    );
    match writes {
        // A synced write that takes longer than that waits for somebody; by how much longer is the neighbours' chance, too.
        (Some(before), Some(during)) if during <= before * 1.1 && during < FELT_MS => {
            without(format!(
                "a synced write took {during:.2} ms, {before:.2} ms before: the disk has room for both"
            ))
        }
        _ => Effect::Bit,
    }
}

pub(super) fn latency(asked: &DiskLatency, probes: &Both<'_>) -> Effect {
    if probes.during(Probe::DelayedOperations) == Some(0.0) {
        return without("the server asked its disk for nothing that was to be delayed".to_owned());
    }
    let writes = (
        probes.before(Probe::SyncedWrite),
        probes.during(Probe::SyncedWrite),
    );
    let delay = asked.delay.as_secs_f64() * 1e3;
    let tick = match asked.by {
        DelayedBy::DmDelay => TICK_MS,
        _ => 0.0,
    };
    match writes {
        (Some(before), Some(during)) if during < 0.5 * delay => without(format!(
            "a synced write took {during:.2} ms, {before:.2} ms before, with a delay of {}",
            asked.delay
        )),
        (_, Some(during)) if during < delay - probes.tolerance.width(delay, 1.0).max(tick) => {
            Effect::Outside {
                reason: format!(
                    "a synced write took {during:.2} ms, which is less than the delay of {}",
                    asked.delay
                ),
            }
        }
        _ => Effect::Bit,
    }
}
