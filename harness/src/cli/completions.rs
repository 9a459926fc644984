use clap::Args;
use clap_complete::Shell;

use super::{CliError, Exit, output};

/// Prints completions for a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  depbench completions bash > ~/.local/share/bash-completion/completions/depbench"
)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self, mut command: clap::Command) -> Result<Exit, CliError> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command, "depbench", &mut text);
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(Exit::Pass)
    }
}
