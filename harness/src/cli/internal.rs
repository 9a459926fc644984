//! Verbs that depbench starts itself with.

use std::io;
use std::process::ExitCode;

use clap::Subcommand;
use faults::helpers;
use workloads::LoadJob;

use super::{CliError, Exit, output};
use crate::{agent, runtime, soak};

/// Verbs that no person types.
#[derive(Debug, Subcommand)]
pub(super) enum Internal {
    /// Serves a controller on standard input and output.
    #[command(hide = true)]
    Agent {
        /// What the agent must know before it can be spoken to, as JSON.
        options: String,
    },
    /// Says which build this is, by its file: whether all of an upload arrived.
    #[command(hide = true)]
    Fingerprint,
    /// Holds faults up until it is killed.
    #[command(hide = true)]
    SoakHold {
        /// What to hold, as JSON.
        hold: String,
    },
    /// Makes the load that a line of JSON on standard input describes.
    #[command(hide = true)]
    LoadWorker,
    /// Keeps CPUs busy.
    #[command(hide = true)]
    Spinner,
    /// Stops and continues processes in turn.
    #[command(hide = true)]
    DutyCycle,
    /// Delays packets.
    #[command(hide = true)]
    DelayLine,
    /// Measures a disk.
    #[command(hide = true)]
    DiskProbe,
    /// Keeps a disk busy.
    #[command(hide = true)]
    DiskWriter,
    /// Passes what is done to a directory on to it, late if it is told so.
    #[command(hide = true)]
    LatencyLayer,
    /// Keeps memory busy.
    #[command(hide = true)]
    MemoryToucher,
}

impl Internal {
    pub(super) fn execute(self) -> Result<ExitCode, CliError> {
        match self {
            // Says itself how it ends.
            Internal::Agent { options } => return Ok(agent::main(&options)),
            Internal::Fingerprint => fingerprint()?,
            Internal::SoakHold { hold } => soak_hold(&hold)?,
            Internal::LoadWorker => load_worker()?,
            Internal::Spinner => helpers::spinner::main()?,
            Internal::DutyCycle => helpers::duty_cycle::main()?,
            Internal::DelayLine => helpers::delay_line::main()?,
            Internal::DiskProbe => helpers::disk_probe::main()?,
            Internal::DiskWriter => helpers::disk_writer::main()?,
            Internal::LatencyLayer => helpers::latency_layer::main()?,
            Internal::MemoryToucher => helpers::memory_toucher::main()?,
        }
        Ok(Exit::Pass.into())
    }
}

fn fingerprint() -> Result<(), CliError> {
    let hash = std::env::current_exe().and_then(|program| agent::program_hash(&program));
    let hash = hash.map_err(|source| CliError::System {
        what: "read this program".to_owned(),
        source,
    })?;
    output::print(&format!("{hash}\n"))
}

fn soak_hold(hold: &str) -> Result<(), CliError> {
    let hold: soak::Hold = serde_json::from_str(hold).map_err(CliError::Job)?;
    hold.end_with_killer().map_err(|source| CliError::System {
        what: "hold faults up".to_owned(),
        source,
    })?;
    Ok(runtime::block_on(soak::hold(hold))??)
}

fn load_worker() -> Result<(), CliError> {
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|source| CliError::System {
            what: "read standard input".to_owned(),
            source,
        })?;
    let job: LoadJob = serde_json::from_str(&line).map_err(CliError::Job)?;
    Ok(workloads::run_worker(&job, io::stdout())?)
}
