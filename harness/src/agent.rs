//! The agent: the one process through which a node is reached.
//!
//! `depbench agent OPTIONS` is started by a controller and speaks [`wire`] on its standard input and output. Before it
//! has any thread it leaves a guardian behind and enters the namespaces of its node (`enclosure`); then it serves
//! requests (`serve`) until the controller says goodbye, is gone (end of file), or is silent for the length of the
//! lease, and undoes everything (`farewell`). Whatever it changes is in the undo journal first, so that the guardian
//! restores should the agent be killed, and the next heal should both be.

mod answer;
pub mod clock;
mod complaint;
mod disk;
mod enclosure;
mod farewell;
mod faulting;
mod files;
mod home;
mod lease;
mod machine;
mod options;
mod outbox;
mod process;
mod program;
mod revival;
mod serve;
mod stdio;
mod usage;
pub mod wire;
mod wiring;

use std::io::Write;
use std::process::ExitCode;

use nix::libc;

pub(crate) use faulting::CONTROL_UNKNOWN;
pub use home::{data_dir, logs_dir};
pub use options::{DEFAULT_LEASE, Isolation, Named, Options, Privilege, Uplink};
pub use program::program_hash;

use home::Home;
use wire::{Greeting, Hello};

/// What the agent exits with when it could not set itself up.
const REFUSED: u8 = 4;

/// The verb `agent`: must be called in `main` before there is any thread. `argument` is [`Options`] as JSON.
///
/// Returns when the agent has undone everything.
pub fn main(argument: &str) -> ExitCode {
    match set_up(argument) {
        Ok((home, ends)) => serve::run(home, ends),
        Err(reason) => {
            let hello = Hello::new(hash_of_this(), Greeting::Refused(reason));
            // Without a listener there is nobody to tell.
            let _unheard = std::io::stdout()
                .write_all(&hello.line())
                .and_then(|()| std::io::stdout().flush());
            ExitCode::from(REFUSED)
        }
    }
}

fn set_up(argument: &str) -> Result<(Home, stdio::Ends), String> {
    let options: Options = serde_json::from_str(argument)
        .map_err(|error| format!("cannot understand the agent's options: {error}"))?;
    let side = enclosure::enter(&options)?;
    raise_priority();
    let home = Home::make(options, side)?;
    let ends = stdio::take()
        .map_err(|error| format!("cannot take over standard input and output: {error}"))?;
    Ok((home, ends))
}

/// The identity of this program, or a text that no program has.
fn hash_of_this() -> String {
    program_hash("/proc/self/exe".as_ref()).unwrap_or_else(|error| format!("unreadable: {error}"))
}

/// Lets the agent run soon when the machine is busy; what it starts gets ordinary priority again.
fn raise_priority() {
    // SAFETY: a system call with plain numbers. Without the privilege it is refused, and the agent runs as any process.
    let _refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
}
