use std::io;

use clap::Args;

use super::{CliError, Exit};
use crate::cluster::StateDir;
use crate::cluster::running::{self, Follow, RunningError};

/// Shows what the programs on the nodes of a cluster that is up have printed.
///
/// The logs of finished trials are in the directory of the run, below `trials`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench logs s1 --follow")]
pub(super) struct Logs {
    /// The nodes: `s1`, or `RUN/s1` when several runs are up; all of them without any.
    nodes: Vec<String>,
    /// Go on as more is printed, until the nodes go down.
    #[arg(long, short)]
    follow: bool,
}

impl Logs {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let state = StateDir::of_this_user();
        let nodes = match self.nodes.is_empty() {
            true => running::list(&state)?,
            false => self
                .nodes
                .iter()
                .map(|name| running::find(&state, name))
                .collect::<Result<_, _>>()?,
        };
        if nodes.is_empty() {
            return Err(RunningError::Unknown {
                wanted: "*".to_owned(),
                up: Vec::new(),
            }
            .into());
        }
        let follow = if self.follow { Follow::Yes } else { Follow::No };
        match running::show_logs(&nodes, follow, &mut io::stdout().lock()) {
            // Its reader has seen enough.
            Err(RunningError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(Exit::Pass)
            }
            shown => shown.map(|()| Exit::Pass).map_err(CliError::from),
        }
    }
}
