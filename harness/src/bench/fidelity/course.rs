//! One severity of one fault: injected, held, read, judged.

use std::time::{Duration, Instant};

use faults::{Availability, Place, Probe, Reading, available};
use results::ProbeMoment;
use vocab::units::Span;

use super::cases::{Beside, Case, Measure, Proof};
use super::line::Got;
use super::work::Load;
use crate::agent::wire::FaultOrder;
use crate::cluster::{Cluster, Node, NodeError};

/// Echoes in each reading of what becomes of them.
const VOLLEY: u32 = 200;

/// What a node got of a fault; or why that is not known.
pub(super) async fn got(
    cluster: &Cluster,
    server: &Node,
    case: &Case,
    hold: Span,
) -> Result<Got, String> {
    let said = |error: NodeError| error.to_string();
    let kind = case.kind();
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
    let hold = hold.max(case.least_hold);
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
    if value(last, Probe::OomKills).is_ok_and(|kills| kills > 0.0) {
        return Err(
            "the kernel killed the server for want of memory and did not slow it".to_owned(),
        );
    }
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
    use super::super::cases::CASES;
    use super::*;

    fn case(fault: &str) -> &'static Case {
        let mut cases = CASES.iter().flat_map(|(_, cases)| *cases);
        cases.find(|case| case.fault == fault).expect("a case")
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
    fn a_server_that_was_killed_is_not_taken_for_one_that_uses_little() {
        let readings = |kills| {
            vec![vec![
                Probe::MemoryUsage.reading(49e6),
                Probe::OomKills.reading(kills),
            ]]
        };
        let limit = case("memory.limit=50MB");
        assert!(judged(limit, &[], &readings(0.0)).is_ok());
        let killed = judged(limit, &[], &readings(1.0));
        assert!(killed.is_err_and(|reason| reason.contains("killed the server")));
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
