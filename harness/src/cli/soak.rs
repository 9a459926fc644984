use clap::Args;

use super::{CliError, Exit, heal, output};
use crate::run;
use crate::soak::{Settings, soak};

/// Injects random faults and kills controller, agents and guardians at random moments; the machine must be as before.
///
/// Each round makes a node with a server, or takes a bystanding process, injects faults, and then kills the controller,
/// the agents, the guardians, several of them at once or all, or cuts the link between controller and agents. Then
/// groups, links and queues, packet filter rules, mounts, loop devices, processes, files, kernel settings and the
/// bystander are compared with what they were. When all were killed, `heal` is to restore them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sudo depbench soak --rounds 300 --seed 7")]
pub(super) struct Soak {
    /// How many rounds; one takes a few seconds.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Of everything random; the same seed kills the same, at nearly the same moments.
    #[arg(long, default_value = "42")]
    seed: u64,
}

impl Soak {
    pub(super) fn execute(self) -> Result<Exit, CliError> {
        let settings = Settings {
            rounds: self.rounds,
            seed: self.seed,
            program: run::this_program()?,
        };
        heal::before_a_run();
        let told = |round: &crate::soak::Round| output::print_error(&format!("{round}\n"));
        let tally = soak(&settings, told).map_err(|source| CliError::System {
            what: "go on".to_owned(),
            source,
        })?;
        output::print(&format!("{tally}\n"))?;
        Ok(match tally.is_clean() {
            true => Exit::Pass,
            false => Exit::InfrastructureFailed,
        })
    }
}
