use std::io::{stderr, stdout};
use std::process::ExitCode;

use clap::Args;

use super::{CliError, output};
use crate::agent::wire::ExitCause;
use crate::cluster::StateDir;
use crate::cluster::running::{self, RunningError, Up};
use crate::control::client::{self, Executed};
use crate::runtime;

/// Runs a program on a node of a cluster that is up, in the node's namespaces.
///
/// On a machine of its own, reached over SSH, the program has neither a terminal nor input.
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
        let up = runtime::block_on(running::everywhere(&StateDir::of_this_user()))??;
        match running::find(&up, &self.node)? {
            Up::Here(node) => Ok(running::exec(&node, &self.command)?),
            Up::There(node) => {
                let (mut out, mut err) = (stdout(), stderr());
                let ran = client::exec(&node, &self.command, &mut out, &mut err);
                let executed = runtime::block_on(ran)?.map_err(RunningError::from)?;
                Ok(ExitCode::from(match executed {
                    Executed::Ended(ExitCause::Code(code)) => code as u8,
                    Executed::Ended(ExitCause::Signal(signal)) => 128 + signal as u8,
                    Executed::Ended(ExitCause::OutOfMemory) => 128 + nix::libc::SIGKILL as u8,
                    Executed::Not(reason) => {
                        output::print_error(&format!("error: {reason}\n"));
                        127
                    }
                }))
            }
        }
    }
}
