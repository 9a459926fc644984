//! What was asked of a fault against what the node got, by the fault's own probes, over a range of severities.
//!
//! - `cases`: which severities, measured how;
//! - `work`: what the server does meanwhile;
//! - `tolerance`: how near is near enough;
//! - `line`: what came of it, as a table and as CSV.

mod cases;
mod line;
mod tolerance;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use faults::{Availability, FaultType, Place, Probe, Reading, available};
use results::ProbeMoment;
use vocab::ids::RunName;
use vocab::time::Wall;
use vocab::units::Span;

pub use cases::Beside;
pub use line::{Got, Line, csv};
pub use tolerance::Tolerance;

use crate::agent::wire::{FaultOrder, Output, Place as Group, Spawn};
use crate::cluster::{Cluster, ClusterError, Node, NodeError, Settings as ClusterSettings};
use crate::experiment;
use crate::run::RunError;
use crate::runtime;
use cases::{CASES, Case, Measure, Proof};
use work::{Load, Work};

/// One server node with half of the machine.
const CLUSTER: &str = "name: fidelity\n\
                       cluster: {local: {servers: 1, clients: 1, disk: {own: 128MiB}}}\n\
                       targets: [{redis: {}}]\n";

/// How long a server may take until it does its work without end.
const SETTLED: Duration = Duration::from_secs(2);

/// Echoes in each reading of what becomes of them.
const VOLLEY: u32 = 200;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long each severity is held.
    pub hold: Span,
    /// Names of the types of faults; all when empty.
    pub types: BTreeSet<String>,
}

/// Measures every case on one node, one after the other; `told` hears of each.
///
/// # Errors
/// No cluster can be made, or its node was lost.
pub fn measure(settings: &Settings, mut told: impl FnMut(&Line)) -> Result<Vec<Line>, RunError> {
    runtime::block_on(async {
        let mut lines = Vec::new();
        for (work, cases) in CASES {
            let cases: Vec<&Case> = cases
                .iter()
                .filter(|case| settings.measures(case))
                .collect();
            if !cases.is_empty() {
                measure_during(work, &cases, settings.hold, |line| {
                    told(&line);
                    lines.push(line);
                })
                .await?;
            }
        }
        Ok(lines)
    })?
}

impl Settings {
    fn measures(&self, case: &Case) -> bool {
        let name = case.fault.split('=').next().unwrap_or_default();
        self.types.is_empty() || self.types.contains(name)
    }
}

/// Measures on a cluster made for a server that does this work.
async fn measure_during(
    work: Work,
    cases: &[&Case],
    hold: Span,
    told: impl FnMut(Line),
) -> Result<(), RunError> {
    let spec = experiment::from_text("(fidelity)", CLUSTER.to_owned())?
        .spec
        .cluster;
    let run: RunName = format!("fidelity-{}", Wall::now().label())
        .parse()
        .expect("a time is part of a name");
    let settings = ClusterSettings {
        layer: work.layer(),
        ..ClusterSettings::new(run)?
    };
    let cluster = Cluster::up(&spec, settings, |_| {}).await?;
    let measured = on(&cluster, work, cases, hold, told).await;
    cluster.down().await?;
    Ok(measured.map_err(ClusterError::from)?)
}

async fn on(
    cluster: &Cluster,
    work: Work,
    cases: &[&Case],
    hold: Span,
    mut told: impl FnMut(Line),
) -> Result<(), NodeError> {
    let server = cluster.servers().next().expect("it has one");
    let client = cluster.clients().next().expect("it has one").address();
    let facts = cluster.facts(server).await?;
    let spawn = Spawn {
        name: "server".into(),
        argv: work.argv(facts.cpus, client, server.program()),
        env: BTreeMap::new(),
        cwd: None,
        place: Group::Server,
        output: Output::Log,
        cpus: Vec::new(),
    };
    server.spawn(spawn).await?;
    tokio::time::sleep(SETTLED).await;
    for case in cases {
        let probe = case.measure.probe();
        told(Line {
            fault: case.fault.to_owned(),
            beside: case.beside,
            quantity: (probe.name(), probe.unit()),
            asked: (case.asked, case.tolerance),
            got: got(cluster, server, case, hold).await,
            note: case.note,
        });
    }
    Ok(())
}

async fn got(cluster: &Cluster, server: &Node, case: &Case, hold: Span) -> Result<Got, String> {
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
    let before = site.probe(order.clone(), ProbeMoment::Before).await;
    let before = before.map_err(said)?;
    let lease = Span::from(hold.duration() + Duration::from_secs(120));
    site.inject(order.clone(), lease).await.map_err(said)?;
    let during = hold_in(&site, &order, case.measure, hold).await;
    site.clear(order).await.map_err(said)?;
    let during = during.map_err(said)?;
    judged(case, &before, &during)
}

/// Keeps a fault in and reads its probes: at the end, or all the time where every reading is a volley of echoes.
async fn hold_in(
    site: &Node,
    order: &FaultOrder,
    measure: Measure,
    hold: Span,
) -> Result<Vec<Vec<Reading>>, NodeError> {
    let begun = Instant::now();
    let mut readings = Vec::new();
    if let Measure::Echoes(_) = measure {
        while begun.elapsed() < hold.duration() {
            readings.push(site.probe(order.clone(), ProbeMoment::During).await?);
        }
    }
    tokio::time::sleep(hold.duration().saturating_sub(begun.elapsed())).await;
    if readings.is_empty() {
        readings.push(site.probe(order.clone(), ProbeMoment::During).await?);
    }
    Ok(readings)
}

/// What the readings say, unless something else than the fault decided.
fn judged(case: &Case, before: &[Reading], during: &[Vec<Reading>]) -> Result<Got, String> {
    let last = during.last().map_or(&[][..], Vec::as_slice);
    let probe = case.measure.probe();
    match case.proof {
        Proof::None => {}
        Proof::Throttled => {
            let throttled = value(last, Probe::ThrottledPeriods)?;
            if throttled < 95.0 {
                return Err(format!(
                    "the rest of the machine left the server less than its quota in {:.0}% of all periods",
                    100.0 - throttled
                ));
            }
        }
        Proof::UsedUp => {
            let used = value(last, Probe::CpuShare)? + value(last, Probe::ContentionShare)?;
            if used < 95.0 {
                return Err(format!(
                    "the rest of the machine left the node {used:.0}% of its CPU budget"
                ));
            }
        }
    }
    let value = match case.measure {
        Measure::During(_) => value(last, probe)?,
        Measure::Gained(_) => value(last, probe)? - value(before, probe)?,
        Measure::Echoes(_) => {
            let values: Result<Vec<f64>, String> =
                during.iter().map(|one| value(one, probe)).collect();
            values?.iter().sum::<f64>() / during.len() as f64
        }
    };
    let draws = match case.measure {
        Measure::Echoes(_) => VOLLEY * during.len() as u32,
        Measure::During(_) | Measure::Gained(_) => 1,
    };
    Ok(Got { value, draws })
}

fn value(readings: &[Reading], probe: Probe) -> Result<f64, String> {
    let found = readings.iter().find(|one| one.probe == probe);
    found
        .map(|one| one.value)
        .ok_or_else(|| format!("no reading of {}", probe.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(fault: &str) -> &'static Case {
        let mut cases = CASES.iter().flat_map(|(_, cases)| *cases);
        cases.find(|case| case.fault == fault).expect("a case")
    }

    #[test]
    fn the_cluster_is_one() {
        experiment::from_text("(fidelity)", CLUSTER.to_owned())
            .unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn what_the_machine_could_not_give_is_not_measured() {
        let readings = |share, throttled| {
            vec![vec![
                Probe::CpuShare.reading(share),
                Probe::ThrottledPeriods.reading(throttled),
            ]]
        };
        let quota = case("cpu.quota=50%");
        let got = judged(quota, &[], &readings(49.8, 100.0));
        assert_eq!(got.map(|got| got.value), Ok(49.8));
        let starved = judged(quota, &[], &readings(24.9, 40.0));
        assert!(starved.is_err_and(|reason| reason.contains("in 60% of all periods")));
        let weighed = [vec![
            Probe::CpuShare.reading(29.0),
            Probe::ContentionShare.reading(30.0),
        ]];
        let starved = judged(case("cpu.contention=1x"), &[], &weighed);
        assert!(starved.is_err_and(|reason| reason.contains("59% of its CPU budget")));
    }

    #[test]
    fn delays_are_counted_without_what_the_network_takes_anyway() {
        let trip = |ms| vec![Probe::RoundTrip.reading(ms)];
        let got = judged(case("net.delay=40ms"), &trip(0.5), &[trip(40.75)]);
        assert_eq!(
            got,
            Ok(Got {
                value: 40.25,
                draws: 1
            })
        );
    }

    #[test]
    fn echoes_are_counted_over_all_volleys() {
        let lost = |share| vec![Probe::LostEchoes.reading(share)];
        let got = judged(case("net.loss=10%"), &[], &[lost(8.0), lost(13.0)]);
        assert_eq!(
            got,
            Ok(Got {
                value: 10.5,
                draws: 400
            })
        );
    }
}
