use std::path::{Path, PathBuf};

use clap::Args;
use node::journal::{self, JournalError, Report};

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

/// Undoes what a crash has left here before anything new is built on it, and says so. What cannot be undone stays in the
/// journal, and what it is in the way of will say so.
pub(super) fn before_a_run() {
    let reports = match undo(&StateDir::of_this_user()) {
        Ok(reports) => reports,
        Err(error) => {
            return output::print_error(&format!("warning: {error}; see `depbench heal`\n"));
        }
    };
    for report in &reports {
        for healed in &report.healed {
            output::print_error(&format!(
                "note: an earlier run had left something: {healed}\n"
            ));
        }
        for unhealed in &report.unhealed {
            output::print_error(&format!(
                "warning: {unhealed}; `depbench heal` tries again\n"
            ));
        }
    }
}

fn undo(state: &StateDir) -> Result<Vec<Report>, JournalError> {
    let mut reports = soak::heal_abandoned(state)?;
    reports.push(journal::heal(&state.journal())?);
    Ok(reports)
}

fn here(state: &StateDir) -> Result<Exit, CliError> {
    let reports = undo(state)?;
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
            for line in said.lines() {
                output::print(&format!("{}: {line}\n", healed.node))?;
            }
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
