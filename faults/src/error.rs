use node::cgroup::CgroupError;
use node::devmapper::DelayError;
use node::journal::JournalError;
use node::links::LinkError;
use node::loopdisk::LoopDiskError;
use node::tool::ToolError;

/// A fault could not be prepared, probed, injected or cleared.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// It cannot be carried out here at all.
    #[error("{fault} cannot be injected here: {reason}")]
    Unavailable {
        /// The fault's name.
        fault: &'static str,
        /// What is missing, and what to do about it.
        reason: String,
    },
    /// There is no server on the node to make slow.
    #[error("{fault} needs a server on the node, but no server process runs here")]
    NoServer {
        /// The fault's name.
        fault: &'static str,
    },
    /// The server has ended before the fault.
    #[error("{fault} was to slow a server that has ended: {process} is gone")]
    ServerGone {
        /// The fault's name.
        fault: &'static str,
        /// The process that was there.
        process: node::identity::ProcessId,
    },
    /// A parameter that this node cannot carry.
    #[error("{fault} cannot be injected here: {reason}")]
    Parameter {
        /// The fault's name.
        fault: &'static str,
        /// What does not fit, and what would.
        reason: String,
    },
    /// It is in already.
    #[error("{fault} is in already: clear it first")]
    AlreadyIn {
        /// The fault's name.
        fault: &'static str,
    },
    /// A program of depbench's own failed.
    #[error("helper `{verb}` {reason}")]
    Helper {
        /// Its verb.
        verb: &'static str,
        /// What became of it.
        reason: String,
    },
    /// A cgroup.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The undo could not be noted, so nothing was changed, or could not be carried out.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A disk of our own.
    #[error(transparent)]
    Disk(#[from] LoopDiskError),
    /// A device that delays.
    #[error(transparent)]
    Delay(#[from] DelayError),
    /// A program of the system.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// A link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A system call.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl FaultError {
    /// Whether what was to be made was there already.
    pub(crate) fn is_taken(&self) -> bool {
        match self {
            FaultError::Tool(error) => {
                let said = error.said().to_lowercase();
                said.contains("exist") && !said.contains("not exist")
                    || said.contains("exclusivity")
            }
            FaultError::Link(error) => error.is(nix::libc::EEXIST),
            _ => false,
        }
    }

    pub(crate) fn system<E: Into<std::io::Error>>(
        what: impl Into<String>,
    ) -> impl FnOnce(E) -> FaultError {
        let what = what.into();
        move |source| FaultError::System {
            what,
            source: source.into(),
        }
    }
}
