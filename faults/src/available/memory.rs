//! Which memory faults a machine can carry out.

use node::cgroup::{Controller, Mode};
use node::facts::Facts;

use crate::spec::{MemoryLimit, Swap};

use super::{Availability, Backend, no, refusals, yes};

pub(super) fn limit(limit: &MemoryLimit, facts: &Facts) -> Availability {
    match (facts.cgroups.has(Controller::Memory), facts.cgroups.mode()) {
        (true, Mode::V2) => yes(Backend::MemoryHigh, None),
        (true, _) if limit.swap == Swap::None => yes(
            Backend::MemoryLimit,
            Some("without swap a server that grows past the limit is killed, not slowed"),
        ),
        (true, _) if facts.swap.0 > 0 => yes(
            Backend::MemoryLimit,
            Some(
                "a server that grows past the limit swaps; swap is shared by all nodes of the machine",
            ),
        ),
        (true, _) if facts.is_root() && facts.loop_devices.is_yes() => yes(
            Backend::MemoryLimitSwap,
            Some(
                "a server that grows past the limit swaps to the machine's disk, and is killed when 512MiB of swap are full",
            ),
        ),
        (true, _) => yes(
            Backend::MemoryLimit,
            Some("without swap a server that grows past the limit is killed, not slowed"),
        ),
        (false, mode) => no(
            format!(
                "memory limits need the memory controller of cgroups ({mode}{}): run as root",
                refusals(facts)
            ),
            None,
        ),
    }
}

pub(super) fn contention() -> Availability {
    yes(
        Backend::MemoryToucher,
        Some("memory is one for the whole machine: all of its nodes feel it"),
    )
}
