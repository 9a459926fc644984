//! What nodes and their machines are, for `environment.json`.

use faults::LatencyWish;
use faults::spec::DelayedBy;
use node::facts::Facts;
use results::{Machine, NodeEnvironment};

use super::node::Node;
use crate::agent::wire::{Disk, Layer};

/// A machine by its own account.
pub(crate) fn machine(facts: Facts) -> Machine {
    Machine {
        host: facts.hostname,
        kernel: format!("Linux {} {}", facts.kernel, facts.arch),
        system: facts.system,
        processor: facts.processor,
        cpus: facts.cpus,
        memory_bytes: facts.memory.0,
        cgroups: facts.cgroups.to_string(),
    }
}

/// A node with the disk that it was given, and nothing else.
pub(super) fn node(node: &Node, host: String, disk: Disk, layer: Layer) -> NodeEnvironment {
    let disk = match disk {
        Disk::Own(size) => format!("own disk of {size}: ext4 on a loop device with direct I/O"),
        Disk::Device(format) => format!("{}, formatted for the run: ext4", format.device.display()),
        Disk::Shared => "a directory on the machine's disk".to_owned(),
    };
    NodeEnvironment {
        node: node.name().clone(),
        purpose: node.purpose().to_string(),
        host,
        address: node.address().to_string(),
        budget: None,
        pinned_to: Vec::new(),
        disk: match layer {
            Layer::Latency(LatencyWish {
                by: DelayedBy::DmDelay,
                ..
            }) => format!("{disk}, over dm-delay for disk.latency"),
            Layer::Latency(_) => format!("{disk}, under a FUSE layer for disk.latency"),
            Layer::None => disk,
        },
        clock: None,
    }
}
