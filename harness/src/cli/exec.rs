use std::process::ExitCode;

use clap::Args;

use super::CliError;
use crate::cluster::StateDir;
use crate::cluster::running;

/// Runs a program on a node of a cluster that is up, in the node's namespaces.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench exec s1 -- ip -brief address")]
pub(super) struct Exec {
    /// The node: `s1`, or `RUN/s1` when several runs are up.
    node: String,
    /// The program and its arguments; no shell sees them.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Exec {
    /// Ends as the program does.
    pub(super) fn execute(self) -> Result<ExitCode, CliError> {
        let node = running::find(&StateDir::of_this_user(), &self.node)?;
        Ok(running::exec(&node, &self.command)?)
    }
}
