use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use node::namespace::{Namespace, NamespaceId};

use super::{RunningError, RunningNode};

/// The order in which namespaces are entered: the user namespace gives the right to the others.
const ORDER: [(Namespace, CloneFlags); 4] = [
    (Namespace::User, CloneFlags::CLONE_NEWUSER),
    (Namespace::Net, CloneFlags::CLONE_NEWNET),
    (Namespace::Pid, CloneFlags::CLONE_NEWPID),
    (Namespace::Mount, CloneFlags::CLONE_NEWNS),
];

/// Runs a program on a node, with this process's terminal, and gives its exit code (128 + signal if it was killed).
///
/// Must be called before this process has threads.
///
/// # Errors
/// When the node may not be entered or the program cannot be started.
pub fn exec(node: &RunningNode, argv: &[String]) -> Result<ExitCode, RunningError> {
    enter(node)?;
    // SAFETY: this process has one thread, so the child may do all that it does.
    match unsafe { fork() }.map_err(step(node, "fork"))? {
        ForkResult::Parent { child } => {
            // Ctrl-C is for the program, which shares the terminal.
            for ignored in [Signal::SIGINT, Signal::SIGQUIT] {
                // SAFETY: ignoring a signal runs no handler.
                unsafe { signal(ignored, SigHandler::SigIgn) }
                    .map_err(step(node, "ignore Ctrl-C"))?;
            }
            loop {
                match waitpid(child, None) {
                    Ok(WaitStatus::Exited(_, code)) => return Ok(ExitCode::from(code as u8)),
                    Ok(WaitStatus::Signaled(_, signal, _)) => {
                        return Ok(ExitCode::from(128 + signal as u8));
                    }
                    Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                    Err(error) => return Err(step(node, "wait for the program")(error)),
                }
            }
        }
        ForkResult::Child => {
            let (program, arguments) = argv
                .split_first()
                .map_or(("sh", &[][..]), |(first, rest)| (first, rest));
            let source = Command::new(program)
                .args(arguments)
                .current_dir(node.data())
                .env("DEPBENCH_NODE", node.purpose.node.as_str())
                .env("DEPBENCH_ADDRESS", &node.address)
                .exec();
            let error = RunningError::Start {
                node: node.purpose.node.to_string(),
                program: program.to_owned(),
                source,
            };
            eprintln!(
                "error: {error}: {}",
                std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default()
            );
            std::process::exit(127)
        }
    }
}

fn enter(node: &RunningNode) -> Result<(), RunningError> {
    let path = |kind: Namespace| {
        PathBuf::from(format!("/proc/{}/ns/{}", node.agent.pid, kind.file_name()))
    };
    // Opened before any is entered: afterwards the agent has another number.
    let mut open = Vec::new();
    for (kind, flag) in ORDER {
        let failed = |error: io::Error| step(node, &format!("look at its {kind} namespace"))(error);
        let own = NamespaceId::current(kind).map_err(failed)?;
        if NamespaceId::of_file(&path(kind)).map_err(failed)? != own {
            open.push((kind, flag, File::open(path(kind)).map_err(failed)?));
        }
    }
    for (kind, flag, file) in open {
        setns(file.as_fd(), flag).map_err(step(node, &format!("enter its {kind} namespace")))?;
    }
    Ok(())
}

fn step<E: Into<io::Error>>(node: &RunningNode, step: &str) -> impl FnOnce(E) -> RunningError {
    let (node, step) = (node.purpose.node.to_string(), step.to_owned());
    move |error| RunningError::Enter {
        node,
        step,
        source: error.into(),
    }
}
