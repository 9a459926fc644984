use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::{CliError, Exit, output};
use crate::experiment::starter;

/// Writes a commented experiment to start from.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench init my.yaml && depbench run my.yaml")]
pub(super) struct Init {
    /// The file to write.
    #[arg(default_value = "experiment.yaml")]
    file: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let path = self.file.display().to_string();
        let mut options = OpenOptions::new();
        match self.force {
            true => options.write(true).create(true).truncate(true),
            false => options.write(true).create_new(true),
        };
        match options
            .open(&self.file)
            .and_then(|mut file| file.write_all(starter::TEXT.as_bytes()))
        {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(CliError::Exists(path));
            }
            Err(source) => {
                return Err(CliError::System {
                    what: format!("write {path}"),
                    source,
                });
            }
        }
        output::print(&format!(
            "wrote {path}\nnext: depbench plan {path}, depbench run {path}\n"
        ))?;
        Ok(Exit::Pass)
    }
}
