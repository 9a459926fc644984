//! What was asked of a fault against what the node got, by the fault's own probes, over a range of severities.
//!
//! - `cases`: which severities, measured how;
//! - `work`: what the server does meanwhile;
//! - `course`: one severity, injected, held and read;
//! - `line`: what came of it;
//! - `report`: all of it as a table and as CSV.

mod cases;
mod course;
mod line;
mod report;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use node::facts::Facts;
use vocab::units::Span;

pub use cases::Beside;
pub use line::{Got, Line};
pub use report::Fidelity;

use crate::agent::wire::{Output, Place as Group, Spawn};
use crate::cluster::{Cluster, ClusterError, NodeError, Settings as ClusterSettings, run_of};
use crate::experiment;
use crate::run::RunError;
use crate::runtime::{self, Stop};
use cases::{CASES, Case};
use work::Work;

/// One server node with half of the machine.
const CLUSTER: &str = "name: fidelity\n\
                       cluster: {local: {servers: 1, clients: 1, disk: {own: 128MiB}}}\n\
                       targets: [{redis: {}}]\n";

/// How long a server may take until it does its work without end.
const SETTLED: Duration = Duration::from_secs(2);

/// What to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long each severity is held.
    pub hold: Span,
    /// Names of the types of faults; all when empty.
    pub types: BTreeSet<String>,
}

/// Measures every case on one node, one after the other, until Ctrl-C; `told` hears of each.
///
/// # Errors
/// No cluster can be made, or its node was lost.
pub fn measure(settings: &Settings, mut told: impl FnMut(&Line)) -> Result<Fidelity, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let facts = Facts::gather().map_err(system("cannot find out about this machine"))?;
    let mut fidelity = Fidelity::new(&facts, settings.hold, settings.cases().count());
    runtime::block_on(async {
        let mut stop = Stop::catch().map_err(system("cannot catch signals"))?;
        for (work, cases) in CASES {
            let cases: Vec<&Case> = cases
                .iter()
                .filter(|case| settings.measures(case))
                .collect();
            if cases.is_empty() {
                continue;
            }
            let told = |line: Line| {
                told(&line);
                fidelity.lines.push(line);
            };
            let ended = measure_during(work, &cases, settings.hold, &mut stop, told).await?;
            if ended == Ended::Interrupted {
                break;
            }
        }
        Ok(fidelity)
    })?
}

/// How a stretch of measuring ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Complete,
    Interrupted,
}

impl Settings {
    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        let all = CASES.into_iter().flat_map(|(_, cases)| cases);
        all.filter(|case| self.measures(case))
    }

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
    stop: &mut Stop,
    told: impl FnMut(Line),
) -> Result<Ended, RunError> {
    let spec = experiment::from_text("(fidelity)", CLUSTER.to_owned())?
        .spec
        .cluster;
    let settings = ClusterSettings {
        layer: work.layer(),
        ..ClusterSettings::new(run_of("fidelity"))?
    };
    let cluster = Cluster::up(&spec, settings, |_| {}).await?;
    let measured = tokio::select! {
        biased;
        () = stop.stopped() => Ok(Ended::Interrupted),
        measured = on(&cluster, work, cases, hold, told) => measured.map(|()| Ended::Complete),
    };
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
            asked: (case.asked, case.tolerance()),
            got: course::got(cluster, server, case, hold).await,
            note: case.note,
            load: load_average(),
        });
    }
    Ok(())
}

/// Of the last minute; nothing where the kernel does not tell.
fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_is_one() {
        experiment::from_text("(fidelity)", CLUSTER.to_owned())
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
