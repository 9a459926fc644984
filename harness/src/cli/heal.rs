use std::path::{Path, PathBuf};

use clap::Args;
use node::journal::{self, Report};

use super::{CliError, Exit, output};
use crate::cluster::spec::ClusterSpec;
use crate::cluster::{StateDir, heal};
use crate::experiment;
use crate::run::this_program;
use crate::{runtime, soak};

/// Undoes whatever earlier runs left on this machine, or on those of an experiment, and nothing of a live one.
///
/// Runs clean up after themselves, however they end; this is for when controller, agent and guardian were all killed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sudo depbench heal\n  depbench heal six-machines.yaml")]
pub(super) struct Heal {
    /// An experiment file; the machines of its clusters are healed, instead of this one, where they are others.
    file: Option<PathBuf>,
    /// Where runs kept their journal on this machine; `/var/lib/depbench` for root when absent.
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    state_dir: Option<PathBuf>,
}

impl Heal {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        match (self.file, self.state_dir) {
            (Some(file), _) => clusters(&file),
            (None, Some(dir)) => here(&StateDir::at(&dir).map_err(|source| CliError::System {
                what: format!("find {}", dir.display()),
                source,
            })?),
            (None, None) => here(&StateDir::of_this_user()),
        }
    }
}

fn here(state: &StateDir) -> Result<Exit, CliError> {
    let mut reports = soak::heal_abandoned(state)?;
    reports.push(journal::heal(&state.journal())?);
    for report in &reports {
        output::print(&format!("{report}\n"))?;
    }
    Ok(exit(reports.iter().all(Report::is_complete)))
}

fn clusters(file: &Path) -> Result<Exit, CliError> {
    let experiment = experiment::load(file)?;
    let program = this_program()?;
    let mut clusters: Vec<&ClusterSpec> = Vec::new();
    for cell in &experiment.cells {
        if !clusters.contains(&&cell.cluster) {
            clusters.push(&cell.cluster);
        }
    }
    let mut complete = true;
    for cluster in clusters {
        let machines = match cluster {
            ClusterSpec::Local(_) => {
                complete &= here(&StateDir::of_this_user())? == Exit::Pass;
                continue;
            }
            ClusterSpec::Ssh(machines) => machines,
        };
        for healed in runtime::block_on(heal(machines, &program))?? {
            complete &= healed.outcome.is_ok();
            let (Ok(said) | Err(said)) = &healed.outcome;
            output::print(&format!("{}: {said}\n", healed.node))?;
        }
    }
    Ok(exit(complete))
}

fn exit(complete: bool) -> Exit {
    match complete {
        true => Exit::Pass,
        false => Exit::InfrastructureFailed,
    }
}
