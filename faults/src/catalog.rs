//! What `depbench list` and `depbench check` show of the faults.

use std::num::NonZeroU32;

use node::facts::Facts;
use schemars::JsonSchema;
use serde::Serialize;
use vocab::units::{ByteRate, Bytes, Share, Span, Weight};

use crate::available::{Availability, Backend, Candidate, available, candidates};
use crate::site::{Site, Wiring};
use crate::spec::{
    CpuContention, CpuQuota, DelayedBy, DelayedOperations, DiskContention, DiskIops, DiskLatency,
    DiskThroughput, Distribution, FaultType, MemoryContention, MemoryLimit, NetCorrupt, NetDelay,
    NetDuplicate, NetLoss, NetPartition, NetRate, NetReorder, Order, ProcessKill, ProcessPause,
    Swap,
};

/// A fault that depbench has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// The name in the experiment file.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// What can be set.
    pub parameters: Vec<Parameter>,
    /// The means it can be carried out by, best first.
    pub backends: &'static [Backend],
}

/// A parameter of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The name in the experiment file.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Whether it may be left out.
    pub optional: bool,
}

/// What a node can do of one fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckRow {
    /// The name in the experiment file.
    pub fault: &'static str,
    /// Where it would be carried out.
    pub site: Site,
    /// Whether, and how.
    pub availability: Availability,
    /// By what means it could be, the best first.
    pub candidates: Vec<Candidate>,
}

/// All faults, in the order of the documentation.
pub fn list() -> Vec<Listed> {
    typical().iter().map(listed).collect()
}

/// What a machine with these means, joined to the others like this, can do of each fault.
pub fn check_table(facts: &Facts, wiring: Wiring) -> Vec<CheckRow> {
    let row = |kind: &FaultType| CheckRow {
        fault: kind.name(),
        site: kind.site(facts, wiring),
        availability: available(kind, facts, wiring),
        candidates: candidates(kind, facts, wiring),
    };
    typical().iter().map(row).collect()
}

/// One of each type, with the parameters of the papers.
pub(crate) fn typical() -> Vec<FaultType> {
    let share = |fraction| Share::from_fraction(fraction).unwrap_or(Share::ALL);
    vec![
        FaultType::CpuQuota(CpuQuota {
            share: Share::from_fraction(0.05).unwrap_or(Share::ALL),
        }),
        FaultType::CpuContention(CpuContention {
            weight: "15x".parse::<Weight>().expect("15x is a weight"),
            threads: NonZeroU32::new(1),
        }),
        FaultType::MemoryLimit(MemoryLimit {
            bytes: Bytes(50_000_000),
            swap: Swap::Auto,
        }),
        FaultType::MemoryContention(MemoryContention {
            bytes: Bytes(1 << 30),
            rate: None,
        }),
        FaultType::DiskThroughput(DiskThroughput {
            rate: "128KB/s".parse().expect("128KB/s is a rate of bytes"),
        }),
        FaultType::DiskIops(DiskIops {
            rate: "50/s".parse().expect("50/s is a rate"),
        }),
        FaultType::DiskContention(DiskContention::default()),
        FaultType::DiskLatency(DiskLatency {
            delay: Span::millis(50),
            on: DelayedOperations::Fsync,
            by: DelayedBy::Auto,
        }),
        FaultType::NetDelay(NetDelay {
            delay: Span::millis(40),
            jitter: Span::ZERO,
            distribution: Distribution::default(),
            correlation: Share::NONE,
            order: Order::default(),
        }),
        FaultType::NetLoss(NetLoss {
            share: share(0.01),
            correlation: Share::NONE,
        }),
        FaultType::NetReorder(NetReorder {
            share: share(0.05),
            delay: Span::millis(10),
        }),
        FaultType::NetDuplicate(NetDuplicate { share: share(0.01) }),
        FaultType::NetCorrupt(NetCorrupt { share: share(0.01) }),
        FaultType::NetRate(NetRate {
            rate: "1MB/s".parse::<ByteRate>().expect("1MB/s is a rate"),
            queue: Span::millis(100),
        }),
        FaultType::NetPartition(NetPartition::default()),
        FaultType::ProcessPause(ProcessPause::default()),
        FaultType::ProcessKill(ProcessKill::default()),
    ]
}

/// The means for whatever is done to packets.
const LINES: &[Backend] = &[Backend::Netem, Backend::DelayLine, Backend::TapLine];

fn listed(kind: &FaultType) -> Listed {
    let (description, parameters, backends): (_, _, &'static [Backend]) = match kind {
        FaultType::CpuQuota(_) => (
            "the server gets at most a share of its machine's CPU",
            parameters::<CpuQuota>(),
            &[Backend::CgroupQuota, Backend::DutyCycle],
        ),
        FaultType::CpuContention(_) => (
            "a busy program competes for the server's CPU",
            parameters::<CpuContention>(),
            &[Backend::WeightedSpinner],
        ),
        FaultType::MemoryLimit(_) => (
            "the server and its page cache get at most so much memory",
            parameters::<MemoryLimit>(),
            &[
                Backend::MemoryHighSwap,
                Backend::MemoryHigh,
                Backend::MemoryLimitSwap,
                Backend::MemoryLimit,
            ],
        ),
        FaultType::MemoryContention(_) => (
            "a program competes for the machine's memory",
            parameters::<MemoryContention>(),
            &[Backend::MemoryToucher],
        ),
        FaultType::DiskThroughput(_) => (
            "the server reads and writes its disk at a limited rate of bytes",
            parameters::<DiskThroughput>(),
            &[Backend::IoMax, Backend::BlkioThrottle],
        ),
        FaultType::DiskIops(_) => (
            "the server reads and writes its disk at a limited rate of operations",
            parameters::<DiskIops>(),
            &[Backend::IoMax, Backend::BlkioThrottle],
        ),
        FaultType::DiskContention(_) => (
            "a program writes heavily to the server's disk",
            parameters::<DiskContention>(),
            &[Backend::DiskWriter],
        ),
        FaultType::DiskLatency(_) => (
            "the server's operations on its disk take longer",
            parameters::<DiskLatency>(),
            &[Backend::DmDelay, Backend::LatencyLayer],
        ),
        FaultType::NetDelay(_) => (
            "every packet the node sends leaves late",
            parameters::<NetDelay>(),
            LINES,
        ),
        FaultType::NetLoss(_) => (
            "some of the packets the node sends get lost",
            parameters::<NetLoss>(),
            LINES,
        ),
        FaultType::NetReorder(_) => (
            "some of the packets the node sends are overtaken by others",
            parameters::<NetReorder>(),
            LINES,
        ),
        FaultType::NetDuplicate(_) => (
            "some of the packets the node sends arrive twice",
            parameters::<NetDuplicate>(),
            LINES,
        ),
        FaultType::NetCorrupt(_) => (
            "some of the packets the node sends arrive damaged",
            parameters::<NetCorrupt>(),
            LINES,
        ),
        FaultType::NetRate(_) => (
            "the node sends at most so many bytes in a second",
            parameters::<NetRate>(),
            &[
                Backend::Tbf,
                Backend::Netem,
                Backend::DelayLine,
                Backend::TapLine,
            ],
        ),
        FaultType::NetPartition(_) => (
            "the node is cut off from others, both ways or one way",
            parameters::<NetPartition>(),
            &[Backend::PacketFilter],
        ),
        FaultType::ProcessKill(_) => (
            "the server is ended, and later started again with the data it left",
            parameters::<ProcessKill>(),
            &[Backend::Signals],
        ),
        FaultType::ProcessPause(_) => (
            "the server is stopped, throughout or again and again, but not dead",
            parameters::<ProcessPause>(),
            &[Backend::Signals],
        ),
    };
    Listed {
        name: kind.name(),
        description,
        parameters,
        backends,
    }
}

/// The fields of a parameter type with their documentation, from its schema, so that the two cannot drift apart.
fn parameters<T: JsonSchema>() -> Vec<Parameter> {
    let schema = schemars::schema_for!(T).to_value();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let parameter = |(name, field): (String, serde_json::Value)| Parameter {
        description: field["description"].as_str().unwrap_or_default().to_owned(),
        optional: !required.iter().any(|other| *other == name.as_str()),
        name,
    };
    fields.into_iter().map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_listed_with_documented_parameters() {
        let faults = list();
        let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
        let expected = [
            "cpu.quota",
            "cpu.contention",
            "memory.limit",
            "memory.contention",
            "disk.throughput",
            "disk.iops",
            "disk.contention",
            "disk.latency",
            "net.delay",
            "net.loss",
            "net.reorder",
            "net.duplicate",
            "net.corrupt",
            "net.rate",
            "net.partition",
            "process.pause",
            "process.kill",
        ];
        assert_eq!(names, expected);
        for fault in &faults {
            assert!(!fault.parameters.is_empty() && !fault.backends.is_empty());
            for parameter in &fault.parameters {
                assert!(
                    !parameter.description.is_empty(),
                    "{}.{}",
                    fault.name,
                    parameter.name
                );
            }
        }
        let delay = faults.iter().find(|fault| fault.name == "net.delay");
        let mut parameters = delay.unwrap().parameters.iter();
        assert!(parameters.any(|one| one.name == "jitter" && one.optional));
        assert!(!faults[0].parameters[0].optional);
    }
}
