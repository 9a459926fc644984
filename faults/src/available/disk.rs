//! Which disk faults a machine can carry out.

use node::cgroup::{Controller, Mode};
use node::facts::Facts;

use super::{Backend, Candidate, lacks_controller};
use crate::latency::is_kept_well;
use crate::spec::{DelayedBy, DiskContention, DiskLatency, DiskThroughput, FaultType};

pub(super) fn limit(facts: &Facts) -> Vec<Candidate> {
    let obstacle = |version| {
        let need = "disk limits need the blkio (v1) or io (v2) controller";
        lacks_controller(facts, Controller::Io, Some(version), need)
    };
    let throttle = Candidate::new(Backend::BlkioThrottle, obstacle(Mode::V1));
    vec![
        Candidate::new(Backend::IoMax, obstacle(Mode::V2)),
        throttle.noted(
            "reads, direct writes and synced writes are limited; buffered writes that the server never syncs are not",
        ),
    ]
}

pub(super) fn nearest_to_limit() -> String {
    FaultType::DiskContention(DiskContention::default()).to_string()
}

pub(super) fn contention(facts: &Facts) -> Vec<Candidate> {
    let alone = facts.is_root() && facts.loop_devices.is_yes();
    let writer = Candidate::new(Backend::DiskWriter, None);
    vec![match alone {
        true => writer,
        false => writer.noted("nodes share one disk here: it is slow for all of them"),
    }]
}

pub(super) fn latency(latency: &DiskLatency, facts: &Facts) -> Vec<Candidate> {
    let other = |by| {
        let named = latency.by != DelayedBy::Auto && latency.by != by;
        named.then(|| format!("the fault asks for {}", latency.by))
    };
    let missing = facts.dm_delay.reason().map(str::to_owned);
    let too_coarse = || {
        let well = latency.by == DelayedBy::DmDelay || is_kept_well(facts.tick, latency.delay);
        (!well).then(|| {
            format!(
                "the kernel's timers, with a tick of {}, do not keep {} within 5%",
                facts.tick, latency.delay
            )
        })
    };
    let device = other(DelayedBy::DmDelay).or(missing).or_else(too_coarse);
    let layer = other(DelayedBy::Fuse).or_else(|| facts.fuse.reason().map(str::to_owned));
    let noted = format!(
        "delays are kept to {}, the tick of the kernel's timers",
        facts.tick
    );
    vec![
        Candidate::new(Backend::DmDelay, device).noted(&noted),
        Candidate::new(Backend::LatencyLayer, layer)
            .noted("the layer is there throughout the run: all trials pay for it alike"),
    ]
}

pub(super) fn nearest_to_latency() -> Option<String> {
    let rate = "128KB/s".parse().ok()?;
    Some(FaultType::DiskThroughput(DiskThroughput { rate }).to_string())
}
