use clap::Args;

use super::{CliError, Exit, output};
use crate::experiment::schema;

/// Prints the JSON Schema of the experiment file, for editors.
///
/// With the schema in the same directory an experiment that begins with `# yaml-language-server:
/// $schema=depbench.schema.json` is completed and checked while it is written.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  depbench schema > depbench.schema.json")]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        output::print(&schema::text())?;
        Ok(Exit::Pass)
    }
}
