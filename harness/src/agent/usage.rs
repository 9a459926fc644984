//! What a node and the processes on it have used.

use node::cgroup::{CgroupStat, Child, NodeCgroup, Scope};
use node::procfs::{MachinePressure, NetworkSample, ProcessTree};
use results::{NodeSample, SampleScope};
use vocab::ids::NodeName;
use vocab::time::TrialTime;

use super::clock;
use super::process::Processes;
use super::wire::{Place, Sample};

/// What is sampled apart, and where it runs.
const PLACES: [(SampleScope, Place, Child); 3] = [
    (SampleScope::Server, Place::Server, Child::Server),
    (SampleScope::Client, Place::Client, Child::Client),
    (
        SampleScope::Contention,
        Place::Contention,
        Child::Contention,
    ),
];

/// Samples the node as a whole, and each place in which something runs.
pub(super) fn sample(
    node: &NodeName,
    groups: Option<&NodeCgroup>,
    processes: &Processes,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut whole = blank(node, SampleScope::Node);
    for (scope, place, child) in PLACES {
        let pids = processes.pids(place);
        let mut usage = blank(node, scope);
        match groups {
            Some(groups) => of_group(&mut usage, groups.stat(Scope::Child(child))),
            None => {
                of_processes(&mut usage, &pids);
                add(&mut whole, &usage);
            }
        }
        if !pids.is_empty() || usage.cpu_ns.is_some_and(|cpu| cpu > 0) {
            samples.push(usage);
        }
    }
    if let Some(groups) = groups {
        of_group(&mut whole, groups.stat(Scope::Node));
    }
    if let Ok(network) = NetworkSample::here() {
        whole.net_rx_bytes = Some(network.rx_bytes);
        whole.net_tx_bytes = Some(network.tx_bytes);
    }
    of_machine(&mut whole);
    samples.push(whole);
    let at = clock::now();
    samples
        .into_iter()
        .map(|usage| Sample { at, usage })
        .collect()
}

fn blank(node: &NodeName, scope: SampleScope) -> NodeSample {
    NodeSample::new(TrialTime::default(), node.clone(), scope)
}

/// What the living processes have used by their own counters; those of dead ones are lost.
fn of_processes(usage: &mut NodeSample, pids: &[i32]) {
    let trees = pids.iter().filter_map(|pid| ProcessTree::under(*pid).ok());
    for process in trees.flat_map(|tree| tree.processes) {
        gain(&mut usage.cpu_ns, Some(process.cpu_ns));
        gain(&mut usage.memory_bytes, Some(process.memory_bytes));
        gain(&mut usage.major_faults, Some(process.major_faults));
        gain(&mut usage.disk_read_bytes, process.disk_read_bytes);
        gain(&mut usage.disk_write_bytes, process.disk_write_bytes);
    }
}

/// What a group has used: exactly, and by the dead ones too.
fn of_group(usage: &mut NodeSample, stat: CgroupStat) {
    usage.cpu_ns = stat.cpu_ns;
    usage.throttled_ns = stat.throttled_ns;
    usage.periods = stat.periods;
    usage.throttled_periods = stat.throttled_periods;
    usage.memory_bytes = stat.memory_bytes;
    usage.major_faults = stat.major_faults;
    usage.disk_read_bytes = stat.disk_read_bytes;
    usage.disk_write_bytes = stat.disk_write_bytes;
    usage.pressure_cpu_us = stat.pressure_cpu_us;
    usage.pressure_io_us = stat.pressure_io_us;
    usage.pressure_memory_us = stat.pressure_memory_us;
}

/// Pressure that no group counts is that of the whole machine.
fn of_machine(usage: &mut NodeSample) {
    let machine = MachinePressure::read();
    for (counter, pressure) in [
        (&mut usage.pressure_cpu_us, machine.cpu),
        (&mut usage.pressure_io_us, machine.io),
        (&mut usage.pressure_memory_us, machine.memory),
    ] {
        *counter = counter.or(pressure.map(|pressure| pressure.some_us));
    }
}

fn add(whole: &mut NodeSample, part: &NodeSample) {
    gain(&mut whole.cpu_ns, part.cpu_ns);
    gain(&mut whole.memory_bytes, part.memory_bytes);
    gain(&mut whole.major_faults, part.major_faults);
    gain(&mut whole.disk_read_bytes, part.disk_read_bytes);
    gain(&mut whole.disk_write_bytes, part.disk_write_bytes);
}

/// Adds what is known to what is known.
fn gain(counter: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *counter = Some(counter.unwrap_or_default() + more);
    }
}
