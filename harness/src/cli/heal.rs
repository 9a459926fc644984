use clap::Args;
use node::journal::{self, Report};

use super::{CliError, Exit, output};
use crate::cluster::StateDir;
use crate::soak;

/// Undoes whatever earlier runs left on this machine, and nothing of a live one.
///
/// Runs clean up after themselves, however they end; this is for when controller, agent and guardian were all killed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo depbench heal")]
pub(super) struct Heal {}

impl Heal {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let mut reports = soak::heal_abandoned(&StateDir::of_this_user())?;
        reports.push(journal::heal(&journal::default_dir())?);
        for report in &reports {
            output::print(&format!("{report}\n"))?;
        }
        Ok(match reports.iter().all(Report::is_complete) {
            true => Exit::Pass,
            false => Exit::InfrastructureFailed,
        })
    }
}
