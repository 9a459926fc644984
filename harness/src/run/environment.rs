use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use node::facts::Facts;
use results::{Environment, Machine, Program};
use targets::TargetSpec;
use vocab::ids::RunName;
use vocab::time::Wall;

use super::RunError;
use crate::agent::program_hash;
use crate::cluster::Cluster;
use crate::cluster::environment::machine;
use crate::experiment::Experiment;

/// Where and with what a run is made.
pub(super) fn describe(
    run: &RunName,
    experiment: &Experiment,
    program: &Path,
    cluster: &Cluster,
    programs: &BTreeMap<String, String>,
) -> Result<Environment, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    Ok(Environment {
        run: run.clone(),
        experiment: experiment.spec.name.clone(),
        began: Wall::now(),
        seed: experiment.spec.seed,
        command: std::env::args().collect(),
        program: Program {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hash: format!(
                "crc32:{}",
                program_hash(program).map_err(system("cannot read this program"))?
            ),
        },
        provider: cluster.mode().to_string(),
        limitations: cluster.limitations().to_vec(),
        machines: machines(cluster).map_err(system("cannot look at this machine"))?,
        nodes: cluster.environment(),
        versions: versions(experiment, programs),
    })
}

/// The controller's machine, and the others.
fn machines(cluster: &Cluster) -> io::Result<Vec<Machine>> {
    let own = machine(Facts::gather()?);
    let others = cluster.machines().into_iter();
    let others: Vec<Machine> = others.filter(|other| *other != own).collect();
    Ok([own].into_iter().chain(others).collect())
}

/// Versions and settings of the targets, by name.
fn versions(
    experiment: &Experiment,
    programs: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut versions = programs.clone();
    for target in experiment.spec.targets.iter().map(TargetSpec::target) {
        for (key, value) in target.constants() {
            versions.insert(format!("{}.{key}", target.name()), value);
        }
    }
    versions
}
