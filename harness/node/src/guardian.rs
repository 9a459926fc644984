//! The guardian: a tiny single-threaded process per agent that outlives it and heals after it.
//!
//! [`start`] is called in `main` before any thread exists. It forks: the **guardian** stays in the namespaces it was
//! started in, in a session of its own, ignores the signals a terminal or a hang-up sends, and waits; the **agent**
//! (the only one in which `start` returns) enters the namespaces asked for and goes on. Both hold the owner's lock.
//!
//! When the agent ends, however it ends, the guardian kills what descends from it (it is the subreaper, so nothing
//! escapes by being orphaned), undoes what stands in the owner's journal, and ends with the agent's status. When the
//! guardian is killed, the agent lives on and sees it ([`AgentSide::guardian_is_alive`]); when both are killed, the next
//! [`crate::journal::heal`] restores.
//!
//! Neither is ever inside a limited cgroup of ours: only processes that are admitted to one are.

mod plan;
mod session;
mod watch;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{ForkResult, fork, pipe2};

pub use plan::NamespacePlan;

use crate::journal::{Journal, JournalError, Purpose};
use watch::Watch;

/// What an agent is started for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the journal lies; see [`crate::journal::default_dir`].
    pub journal: PathBuf,
    /// Run and node.
    pub purpose: Purpose,
    /// The namespaces that the agent gets of its own.
    pub namespaces: NamespacePlan,
}

/// What the agent holds of its guardian.
#[derive(Debug)]
pub struct AgentSide {
    /// The owner's journal.
    pub journal: Journal,
    line: OwnedFd,
}

/// The byte that says that an end is meant.
const GOODBYE: u8 = b'.';

impl AgentSide {
    /// Tells the guardian that the agent is about to end on purpose, having undone what it did.
    ///
    /// The guardian still undoes what stands in the journal, but does not report the agent as lost. Its exit status is
    /// the agent's.
    ///
    /// # Errors
    /// `EPIPE` when the guardian is dead.
    pub fn goodbye(self) -> io::Result<()> {
        nix::unistd::write(&self.line, &[GOODBYE])?;
        Ok(())
    }

    /// Whether the guardian still watches. Without it the agent should undo its faults and end: if it were killed now,
    /// only a later heal would restore.
    pub fn guardian_is_alive(&self) -> bool {
        let mut watched = [PollFd::new(self.line.as_fd(), PollFlags::empty())];
        match poll(&mut watched, PollTimeout::ZERO) {
            Ok(0) => true,
            Ok(_) | Err(_) => false,
        }
    }
}

/// Splits this process into guardian and agent; returns in the agent only. The guardian never returns: it exits with the
/// agent's status (128 + signal if it was killed).
///
/// The caller must be single-threaded. If it leads a process group, it leaves it for a session of its own, so that
/// Ctrl-C in a terminal reaches neither.
///
/// # Errors
/// In either process, before anything is changed: when there are threads, the journal cannot be opened, or a namespace
/// is refused. An error in the agent ends the guardian as well.
pub fn start(options: &Options) -> Result<AgentSide, GuardianError> {
    session::require_single_thread()?;
    session::lead().map_err(GuardianError::step("start a session"))?;
    let journal = Journal::open(&options.journal, &options.purpose)?;
    let (listening, line) = pipe2(OFlag::O_CLOEXEC).map_err(GuardianError::step("make a pipe"))?;
    nix::sys::prctl::set_child_subreaper(true)
        .map_err(GuardianError::step("become the reaper of orphans"))?;
    let outside = options.namespaces.unshare_for_child()?;
    // SAFETY: this process has one thread, so the child finds no lock held by another.
    match unsafe { fork() }.map_err(GuardianError::step("fork"))? {
        ForkResult::Parent { child } => {
            drop(line);
            outside.come_back();
            Watch::new(child, listening, journal).until_the_end()
        }
        ForkResult::Child => {
            drop(listening);
            drop(outside);
            options.namespaces.enter()?;
            Ok(AgentSide { journal, line })
        }
    }
}

/// Guardian and agent could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum GuardianError {
    /// There is more than one thread.
    #[error("a guardian starts before any thread, but this process has {0}")]
    Threads(usize),
    /// A system call.
    #[error("cannot {step}: {source}")]
    Step {
        /// What was tried.
        step: String,
        /// Why not.
        source: io::Error,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl GuardianError {
    fn step<E: Into<io::Error>>(step: impl Into<String>) -> impl FnOnce(E) -> GuardianError {
        let step = step.into();
        move |error| GuardianError::Step {
            step,
            source: error.into(),
        }
    }
}
