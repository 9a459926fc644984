use std::io;

use clap::Args;

use super::{CliError, Exit};
use crate::cluster::StateDir;
use crate::cluster::running::{self, Follow, RunningError};
use crate::runtime;

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
        match runtime::block_on(self.show())? {
            // Its reader has seen enough.
            Err(RunningError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(Exit::Pass)
            }
            shown => shown.map(|()| Exit::Pass).map_err(CliError::from),
        }
    }

    async fn show(self) -> Result<(), RunningError> {
        let up = running::everywhere(&StateDir::of_this_user()).await?;
        let named = self.nodes.iter().map(|name| running::find(&up, name));
        let named: Vec<_> = named.collect::<Result<_, _>>()?;
        let nodes = if named.is_empty() { up } else { named };
        if nodes.is_empty() {
            return Err(RunningError::Unknown {
                wanted: "*".to_owned(),
                up: Vec::new(),
            });
        }
        let follow = if self.follow { Follow::Yes } else { Follow::No };
        running::show_logs(&nodes, follow, &mut io::stdout().lock()).await
    }
}
