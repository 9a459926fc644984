//! Which memory faults a machine can carry out.

use node::cgroup::{Controller, Mode};
use node::facts::Facts;

use crate::spec::{MemoryLimit, Swap};

use super::{Backend, Candidate, lacks_controller};

const SHARED: &str =
    "a server that grows past the limit swaps; swap is shared by all nodes of the machine";
const HELD: &str =
    "without swap growth is slowed, and what the server holds already stays above the limit";
const KILLED: &str = "without swap a server that grows past the limit is killed, not slowed";

pub(super) fn limit(limit: &MemoryLimit, facts: &Facts) -> Vec<Candidate> {
    let obstacle = |version| {
        let need = "memory limits need the memory controller";
        lacks_controller(facts, Controller::Memory, Some(version), need)
    };
    let swaps = facts.swap.0 > 0 && limit.swap != Swap::None;
    let high = Candidate::new(Backend::MemoryHigh, obstacle(Mode::V2));
    let plain = Candidate::new(Backend::MemoryLimit, obstacle(Mode::V1));
    vec![
        Candidate::new(
            Backend::MemoryHighSwap,
            obstacle(Mode::V2).or_else(|| no_swap_of_ours(limit, facts)),
        )
        .noted("a server above the limit swaps to the machine's disk, and stands nearly still when 512MiB of swap are full"),
        high.noted(match swaps {
            true => SHARED,
            false => HELD,
        }),
        Candidate::new(
            Backend::MemoryLimitSwap,
            obstacle(Mode::V1).or_else(|| no_swap_of_ours(limit, facts)),
        )
        .noted("a server that grows past the limit swaps to the machine's disk, and is killed when 512MiB of swap are full"),
        plain.noted(match swaps {
            true => SHARED,
            false => KILLED,
        }),
    ]
}

/// Why swap space of depbench's own is not brought along.
fn no_swap_of_ours(limit: &MemoryLimit, facts: &Facts) -> Option<String> {
    if limit.swap == Swap::None {
        return Some("the fault asks for no swap".to_owned());
    }
    if facts.swap.0 > 0 {
        return Some("the machine has swap space already".to_owned());
    }
    match facts.loop_devices.reason() {
        _ if !facts.is_root() => Some("swap space of its own needs root".to_owned()),
        reason => reason.map(str::to_owned),
    }
}

pub(super) fn contention() -> Vec<Candidate> {
    let toucher = Candidate::new(Backend::MemoryToucher, None);
    vec![toucher.noted("memory is one for the whole machine: all of its nodes feel it")]
}
