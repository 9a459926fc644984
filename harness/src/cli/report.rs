use std::path::PathBuf;

use clap::Args;
use results::{RunDir, table};

use super::{CliError, Exit, output};
use crate::run;

/// Draws the tables, figures and report of a run again, from its files alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench report runs/quickstart-20260101T120000Z")]
pub(super) struct Report {
    /// The directory of the run.
    dir: PathBuf,
}

impl Report {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let report = run::report(&RunDir::open(&self.dir)?)?;
        output::print(&format!(
            "{}\nreport: {}\n",
            table::text(&report.analysis),
            report.page.display()
        ))?;
        Ok(Exit::Pass)
    }
}
