//! Which severities of which faults are measured, by which of their probes.

use faults::spec::DelayedBy;
use faults::{FaultType, Probe, Tolerance};
use vocab::units::Span;

use super::work::Work;

/// What else runs on the machine meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The node's own server.
    Nothing,
    /// A busy loop for each CPU.
    FullLoad,
}

/// One severity of one fault.
pub(super) struct Case {
    pub(super) fault: &'static str,
    pub(super) beside: Beside,
    pub(super) measure: Measure,
    pub(super) asked: f64,
    /// What other load on the machine would make of it; then nothing was measured.
    pub(super) proof: Proof,
    /// What the mechanism misses by its nature.
    pub(super) note: &'static str,
    /// What is slow must be held for long until it can be told.
    pub(super) least_hold: Span,
}

/// How the readings of a fault become one number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    /// What is read while the fault is in.
    During(Probe),
    /// The same without what was read before: what the node takes anyway is not the fault's.
    Gained(Probe),
    /// A share of all echoes of many volleys.
    Echoes(Probe),
}

impl Measure {
    pub(super) fn probe(self) -> Probe {
        match self {
            Measure::During(probe) | Measure::Gained(probe) | Measure::Echoes(probe) => probe,
        }
    }
}

/// What tells that the server wanted all it could have, and that the machine had it to give.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    /// Nothing else on the machine can come between.
    None,
    /// The kernel held it back by its own quota in nearly every period.
    Throttled,
    /// Server and competing program used up the node's machine together.
    UsedUp,
}

impl Case {
    /// The fault.
    pub(super) fn kind(&self) -> FaultType {
        let kind: Result<FaultType, _> = self.fault.parse();
        kind.unwrap_or_else(|error| panic!("{}: {error}", self.fault))
    }

    /// How near is near enough.
    pub(super) fn tolerance(&self) -> Tolerance {
        Tolerance::of(&self.kind()).unwrap_or(Tolerance::Points(0.0))
    }
}

const fn case(fault: &'static str, measure: Measure, asked: f64) -> Case {
    Case {
        fault,
        beside: Beside::Nothing,
        measure,
        asked,
        proof: Proof::None,
        note: "",
        least_hold: Span::ZERO,
    }
}

const fn quota(fault: &'static str, asked: f64) -> Case {
    Case {
        proof: Proof::Throttled,
        ..case(fault, Measure::During(Probe::CpuShare), asked)
    }
}

const fn weighed(fault: &'static str, asked: f64) -> Case {
    Case {
        proof: Proof::UsedUp,
        note: "the kernel may put the server's processes on one CPU, where they have to share with more",
        ..case(fault, Measure::During(Probe::CpuShare), asked)
    }
}

const fn delay(fault: &'static str, asked: f64) -> Case {
    case(fault, Measure::Gained(Probe::RoundTrip), asked)
}

const fn loaded(fault: &'static str, asked: f64) -> Case {
    Case {
        beside: Beside::FullLoad,
        note: "without a real-time priority packets that are due wait for a CPU",
        ..delay(fault, asked)
    }
}

const fn echoes(fault: &'static str, probe: Probe, asked: f64) -> Case {
    case(fault, Measure::Echoes(probe), asked)
}

const fn rate(fault: &'static str, probe: Probe, asked: f64) -> Case {
    case(fault, Measure::During(probe), asked)
}

/// What waits counts as well: a few operations, which must be few among all.
const fn few(fault: &'static str, probe: Probe, asked: f64) -> Case {
    Case {
        least_hold: Span::seconds(30),
        ..rate(fault, probe, asked)
    }
}

const fn synced(fault: &'static str, asked: f64) -> Case {
    case(fault, Measure::Gained(Probe::SyncedWrite), asked)
}

const fn ticked(fault: &'static str, asked: f64) -> Case {
    Case {
        note: "the kernel keeps it to the tick of its timers",
        ..synced(fault, asked)
    }
}

const fn pause(fault: &'static str, asked: f64) -> Case {
    case(fault, Measure::During(Probe::StoppedTime), asked)
}

/// All of them, by what the server does meanwhile.
pub(super) const CASES: [(Work, &[Case]); 7] = [
    (
        Work::Compute,
        &[
            quota("cpu.quota=2%", 2.0),
            quota("cpu.quota=5%", 5.0),
            quota("cpu.quota=10%", 10.0),
            quota("cpu.quota=25%", 25.0),
            quota("cpu.quota=50%", 50.0),
            quota("cpu.quota=75%", 75.0),
            weighed("cpu.contention=1x", 50.0),
            weighed("cpu.contention=4x", 20.0),
            weighed("cpu.contention=15x", 100.0 / 16.0),
            weighed("cpu.contention=16x", 100.0 / 17.0),
            pause("process.pause=for=30ms,period=100ms", 30.0),
            pause("process.pause=for=95ms,period=100ms", 95.0),
            pause("process.pause=for=10ms,period=20ms", 50.0),
            rate(
                "memory.contention=bytes=64MiB,rate=50MB/s",
                Probe::ContentionTouchRate,
                50e6,
            ),
        ],
    ),
    (
        Work::Wait,
        &[
            delay("net.delay=1ms", 1.0),
            delay("net.delay=10ms", 10.0),
            delay("net.delay=40ms", 40.0),
            delay("net.delay=400ms", 400.0),
            loaded("net.delay=1ms", 1.0),
            loaded("net.delay=10ms", 10.0),
            loaded("net.delay=40ms", 40.0),
            loaded("net.delay=400ms", 400.0),
            echoes("net.loss=1%", Probe::LostEchoes, 1.0),
            echoes("net.loss=10%", Probe::LostEchoes, 10.0),
            echoes("net.loss=50%", Probe::LostEchoes, 50.0),
            echoes(
                "net.reorder=share=10%,delay=20ms",
                Probe::OvertakenEchoes,
                10.0,
            ),
            echoes("net.duplicate=10%", Probe::DuplicatedEchoes, 10.0),
            echoes("net.corrupt=10%", Probe::LostEchoes, 10.0),
            case("net.partition", Measure::During(Probe::LostEchoes), 100.0),
        ],
    ),
    (
        Work::Send,
        &[
            rate("net.rate=100KB/s", Probe::SentRate, 100e3),
            rate("net.rate=1MB/s", Probe::SentRate, 1e6),
            rate("net.rate=5MB/s", Probe::SentRate, 5e6),
        ],
    ),
    (
        Work::Write,
        &[
            rate("disk.throughput=128KB/s", Probe::DiskWriteRate, 128e3),
            rate("disk.throughput=1MB/s", Probe::DiskWriteRate, 1e6),
            rate("disk.throughput=5MB/s", Probe::DiskWriteRate, 5e6),
            few("disk.iops=20/s", Probe::DiskOperations, 20.0),
            rate("disk.iops=50/s", Probe::DiskOperations, 50.0),
            rate("disk.iops=100/s", Probe::DiskOperations, 100.0),
            rate("disk.iops=500/s", Probe::DiskOperations, 500.0),
        ],
    ),
    (
        Work::Hold,
        &[
            rate("memory.limit=50MB", Probe::MemoryUsage, 50e6),
            rate("memory.limit=250MB", Probe::MemoryUsage, 250e6),
        ],
    ),
    (
        Work::Sync(DelayedBy::Fuse),
        &[
            synced("disk.latency=delay=5ms,by=fuse", 5.0),
            synced("disk.latency=delay=50ms,by=fuse", 50.0),
            synced("disk.latency=delay=200ms,by=fuse", 200.0),
        ],
    ),
    (
        Work::Sync(DelayedBy::DmDelay),
        &[
            ticked("disk.latency=delay=50ms,by=dm-delay", 50.0),
            ticked("disk.latency=delay=200ms,by=dm-delay", 200.0),
            ticked("disk.latency=delay=400ms,by=dm-delay", 400.0),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_with_a_number_is_measured() {
        let mut measured = BTreeSet::new();
        for case in CASES.iter().flat_map(|(_, cases)| *cases) {
            assert!(Tolerance::of(&case.kind()).is_some(), "{}", case.fault);
            measured.insert(case.kind().name());
        }
        // What a writer takes from a disk is the disk's to say, and an end has no severity.
        let numberless = ["disk.contention", "process.kill"];
        let all = faults::list().into_iter().map(|fault| fault.name);
        let missing: Vec<&str> = all.filter(|name| !measured.contains(name)).collect();
        assert_eq!(missing, numberless);
    }

    #[test]
    fn the_papers_faults_are_among_them() {
        let kinds: Vec<FaultType> = CASES
            .iter()
            .flat_map(|(_, cases)| *cases)
            .map(Case::kind)
            .collect();
        let papers = faults::presets::PRESETS.map(|preset| preset.fault());
        for kind in papers
            .iter()
            .filter(|kind| kind.name() != "disk.contention")
        {
            assert!(kinds.contains(kind), "{kind}");
        }
    }
}
