use clap::Args;
use node::journal;

use super::{CliError, Exit, output};

/// Undoes whatever earlier runs left on this machine, and nothing of a live one.
///
/// Runs clean up after themselves, however they end; this is for when controller, agent and guardian were all killed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo depbench heal")]
pub(super) struct Heal {}

impl Heal {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let report = journal::heal(&journal::default_dir())?;
        output::print(&format!("{report}\n"))?;
        Ok(if report.is_complete() {
            Exit::Pass
        } else {
            Exit::InfrastructureFailed
        })
    }
}
