//! What was asked of a fault against what the node got, by the fault's own probes, over a range of severities.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use faults::{Availability, FaultType, Place, Probe, Reading, available};
use results::ProbeMoment;
use vocab::ids::RunName;
use vocab::time::Wall;
use vocab::units::Span;

use crate::agent::wire::{Output, Place as Group, Spawn};
use crate::cluster::{Cluster, Node, NodeError, Settings};
use crate::experiment;
use crate::run::RunError;

/// One server node with half of the machine.
const CLUSTER: &str = "name: fidelity\n\
                       cluster: {local: {servers: 1, clients: 1}}\n\
                       targets: [{redis: {}}]\n";

/// Computes all the time, and writes past the page cache all the time.
const SERVER: &str = "while :; do :; done & \
                      while :; do dd if=/dev/zero of=x bs=4k count=4000 oflag=direct 2>/dev/null; done";

/// How far what the node got may be from what was asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// Percentage points.
    Points(f64),
    /// Milliseconds or this share of what was asked, whichever is more.
    Time(f64, f64),
    /// This share of what was asked.
    Share(f64),
}

impl Tolerance {
    fn holds(self, asked: f64, got: f64) -> bool {
        let off = (got - asked).abs();
        match self {
            Tolerance::Points(points) => off <= points,
            Tolerance::Time(ms, share) => off <= ms.max(share * asked),
            Tolerance::Share(share) => off <= share * asked,
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tolerance::Points(points) => write!(f, "± {points} points"),
            Tolerance::Time(ms, share) => write!(f, "± {ms} ms or {:.0} %", share * 100.0),
            Tolerance::Share(share) => write!(f, "± {:.0} %", share * 100.0),
        }
    }
}

/// What else runs on the machine meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The node's own server.
    Nothing,
    /// A busy loop for each CPU.
    FullLoad,
}

/// One severity of one fault.
struct Case {
    fault: &'static str,
    beside: Beside,
    probe: Probe,
    asked: f64,
    tolerance: Tolerance,
    /// What the mechanism misses by its nature.
    note: &'static str,
}

const fn case(fault: &'static str, probe: Probe, asked: f64, tolerance: Tolerance) -> Case {
    Case {
        fault,
        beside: Beside::Nothing,
        probe,
        asked,
        tolerance,
        note: "",
    }
}

const CPU: Tolerance = Tolerance::Points(1.0);
const DELAY: Tolerance = Tolerance::Time(1.0, 0.05);
const RATE: Tolerance = Tolerance::Share(0.05);
const BANDWIDTH: Tolerance = Tolerance::Share(0.10);

const fn weighed(fault: &'static str, asked: f64) -> Case {
    Case {
        note: "weights are kept per CPU: two busy processes of one node on two CPUs may share unevenly",
        ..case(fault, Probe::CpuShare, asked, CPU)
    }
}

const fn loaded(fault: &'static str, asked: f64) -> Case {
    Case {
        beside: Beside::FullLoad,
        ..case(fault, Probe::RoundTrip, asked, DELAY)
    }
}

const CASES: [Case; 21] = [
    case("cpu.quota=2%", Probe::CpuShare, 2.0, CPU),
    case("cpu.quota=5%", Probe::CpuShare, 5.0, CPU),
    case("cpu.quota=10%", Probe::CpuShare, 10.0, CPU),
    case("cpu.quota=25%", Probe::CpuShare, 25.0, CPU),
    case("cpu.quota=50%", Probe::CpuShare, 50.0, CPU),
    case("cpu.quota=75%", Probe::CpuShare, 75.0, CPU),
    weighed("cpu.contention=1x", 50.0),
    weighed("cpu.contention=4x", 20.0),
    weighed("cpu.contention=15x", 6.25),
    case("net.delay=1ms", Probe::RoundTrip, 1.0, DELAY),
    case("net.delay=10ms", Probe::RoundTrip, 10.0, DELAY),
    case("net.delay=40ms", Probe::RoundTrip, 40.0, DELAY),
    case("net.delay=400ms", Probe::RoundTrip, 400.0, DELAY),
    loaded("net.delay=10ms", 10.0),
    loaded("net.delay=40ms", 40.0),
    loaded("net.delay=400ms", 400.0),
    case(
        "disk.throughput=128KB/s",
        Probe::DiskWriteRate,
        128e3,
        BANDWIDTH,
    ),
    case(
        "disk.throughput=1MB/s",
        Probe::DiskWriteRate,
        1e6,
        BANDWIDTH,
    ),
    case("disk.iops=20/s", Probe::DiskOperations, 20.0, RATE),
    case("disk.iops=100/s", Probe::DiskOperations, 100.0, RATE),
    case("disk.iops=500/s", Probe::DiskOperations, 500.0, RATE),
];

/// What came of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// As it was asked for.
    pub fault: String,
    /// What else ran.
    pub beside: Beside,
    /// What was measured, and its unit.
    pub quantity: (&'static str, &'static str),
    /// What was asked, and how near it should be.
    pub asked: (f64, Tolerance),
    /// What the node got; or why that is not known.
    pub got: Result<f64, String>,
    /// What the mechanism misses by its nature.
    pub note: &'static str,
}

impl Line {
    /// `inside` or `outside` of the tolerance, or `not measured`.
    pub fn judgement(&self) -> &'static str {
        let (asked, tolerance) = self.asked;
        match &self.got {
            Ok(got) if tolerance.holds(asked, *got) => "inside",
            Ok(_) => "outside",
            Err(_) => "not measured",
        }
    }
}

/// Measures every case on one node, one after the other, each for the time given.
///
/// # Errors
/// No cluster can be made, or its node was lost.
pub fn measure(hold: Span, mut told: impl FnMut(&Line)) -> Result<Vec<Line>, RunError> {
    let spec = experiment::from_text("(fidelity)", CLUSTER.to_owned())?
        .spec
        .cluster;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| RunError::System {
            what: "cannot start the runtime",
            source,
        })?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let run: RunName = format!("fidelity-{}", Wall::now().label())
            .parse()
            .expect("a time is part of a name");
        let cluster = Cluster::up(&spec, Settings::new(run)?, |_| {}).await?;
        let measured = all(&cluster, hold, &mut told).await;
        cluster.down().await?;
        Ok(measured.map_err(crate::cluster::ClusterError::from)?)
    })
}

async fn all(
    cluster: &Cluster,
    hold: Span,
    told: &mut impl FnMut(&Line),
) -> Result<Vec<Line>, NodeError> {
    let server = cluster.servers().next().expect("it has one");
    let spawn = Spawn {
        name: "server".into(),
        argv: ["sh", "-c", SERVER].map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        cwd: None,
        place: Group::Server,
        output: Output::Log,
        cpus: Vec::new(),
    };
    server.spawn(spawn).await?;
    let mut lines = Vec::new();
    for case in &CASES {
        let line = Line {
            fault: case.fault.to_owned(),
            beside: case.beside,
            quantity: (case.probe.name(), case.probe.unit()),
            asked: (case.asked, case.tolerance),
            got: got(cluster, server, case, hold).await,
            note: case.note,
        };
        told(&line);
        lines.push(line);
    }
    Ok(lines)
}

async fn got(cluster: &Cluster, server: &Node, case: &Case, hold: Span) -> Result<f64, String> {
    let said = |error: NodeError| error.to_string();
    let kind: FaultType = case.fault.parse().map_err(|error| format!("{error}"))?;
    let facts = cluster.facts(server).await.map_err(said)?;
    if let no @ Availability::No { .. } = available(&kind, &facts, cluster.wiring()) {
        return Err(no.to_string());
    }
    let place = Place::node(server.name().clone());
    let name = "fidelity".parse().expect("a name");
    let (site, order) = cluster
        .sites()
        .order(&name, &kind, &place, server.name())
        .await?;
    let _load = (case.beside == Beside::FullLoad).then(|| Load::start(facts.cpus));
    let before = site
        .probe(order.clone(), ProbeMoment::Before)
        .await
        .map_err(said)?;
    let lease = Span::from(hold.duration() + Duration::from_secs(30));
    site.inject(order.clone(), lease).await.map_err(said)?;
    tokio::time::sleep(hold.duration()).await;
    let during = site.probe(order.clone(), ProbeMoment::During).await;
    site.clear(order).await.map_err(said)?;
    let during = during.map_err(said)?;
    let value = |readings: &[Reading]| {
        let found = readings.iter().find(|one| one.probe == case.probe);
        found
            .map(|one| one.value)
            .ok_or_else(|| format!("no reading of {}", case.probe.name()))
    };
    match case.probe {
        // What the network takes anyway is not the fault's.
        Probe::RoundTrip => Ok(value(&during)? - value(&before)?),
        _ => value(&during),
    }
}

/// A busy loop for each CPU, outside of every node.
struct Load(Vec<Child>);

impl Load {
    fn start(cpus: u32) -> Load {
        let busy = || {
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .ok()
        };
        Load((0..cpus).filter_map(|_| busy()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ended_before = child.kill();
            let _status = child.wait();
        }
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Beside::Nothing => "",
            Beside::FullLoad => "full CPU load",
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((quantity, unit), (asked, tolerance)) = (self.quantity, self.asked);
        write!(
            f,
            "{:<25} {:<13} {quantity:<16} {asked:>9} {unit:<3} ",
            self.fault, self.beside
        )?;
        match &self.got {
            Ok(got) => write!(
                f,
                "{got:>12.2} {unit:<3}  {:<8} ({tolerance})",
                self.judgement()
            )?,
            Err(reason) => write!(f, "not measured: {reason}")?,
        }
        match self.note {
            "" => Ok(()),
            note => write!(f, "; {note}"),
        }
    }
}

/// The lines as CSV.
pub fn csv(lines: &[Line]) -> String {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let in_memory = "lines of equal length are written to memory";
    csv.write_record([
        "fault",
        "beside",
        "quantity",
        "unit",
        "asked",
        "got",
        "tolerance",
        "judgement",
        "remark",
    ])
    .expect(in_memory);
    for line in lines {
        let (got, reason) = match &line.got {
            Ok(got) => (format!("{got:.3}"), ""),
            Err(reason) => (String::new(), reason.as_str()),
        };
        let remark = [reason, line.note].join(" ");
        csv.write_record([
            &line.fault,
            &line.beside.to_string(),
            line.quantity.0,
            line.quantity.1,
            &line.asked.0.to_string(),
            &got,
            &line.asked.1.to_string(),
            line.judgement(),
            remark.trim(),
        ])
        .expect(in_memory);
    }
    String::from_utf8(csv.into_inner().expect(in_memory)).expect("text was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_a_fault() {
        for case in &CASES {
            case.fault
                .parse::<FaultType>()
                .unwrap_or_else(|error| panic!("{error}"));
        }
        experiment::from_text("(fidelity)", CLUSTER.to_owned())
            .unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn tolerances_are_those_stated() {
        assert!(CPU.holds(5.0, 5.9) && !CPU.holds(5.0, 6.1));
        assert!(DELAY.holds(10.0, 10.9) && !DELAY.holds(10.0, 11.1));
        assert!(DELAY.holds(400.0, 419.0) && !DELAY.holds(400.0, 421.0));
        assert!(BANDWIDTH.holds(100.0, 91.0) && !RATE.holds(100.0, 94.0));
    }
}
