//! Which disk faults a machine can carry out.

use node::cgroup::{Controller, Mode};
use node::facts::Facts;

use super::{Availability, Backend, no, refusals, yes};
use crate::spec::{DiskContention, DiskThroughput, FaultType};

pub(super) fn limit(facts: &Facts) -> Availability {
    match (facts.cgroups.has(Controller::Io), facts.cgroups.mode()) {
        (true, Mode::V2) => yes(Backend::IoMax, None),
        (true, _) => yes(
            Backend::BlkioThrottle,
            Some(
                "reads, direct writes and synced writes are limited; buffered writes that the server never syncs are not",
            ),
        ),
        (false, mode) => no(
            format!(
                "disk limits need the blkio (v1) or io (v2) controller of cgroups ({mode}{}): run as root",
                refusals(facts)
            ),
            Some(FaultType::DiskContention(DiskContention::default())),
        ),
    }
}

pub(super) fn contention(facts: &Facts) -> Availability {
    let alone = facts.is_root() && facts.loop_devices.is_yes();
    yes(
        Backend::DiskWriter,
        (!alone).then_some("nodes share one disk here: it is slow for all of them"),
    )
}

pub(super) fn latency(facts: &Facts) -> Availability {
    match facts.fuse.reason() {
        None => yes(
            Backend::LatencyLayer,
            Some("the layer is there throughout the run: all trials pay for it alike"),
        ),
        Some(reason) => no(
            reason.to_owned(),
            "128KB/s"
                .parse()
                .ok()
                .map(|rate| FaultType::DiskThroughput(DiskThroughput { rate })),
        ),
    }
}
