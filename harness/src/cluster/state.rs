use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use vocab::ids::{NodeName, RunName};
use vocab::time::Wall;
use vocab::units::Span;

use super::error::ClusterError;
use crate::agent::DEFAULT_LEASE;
use crate::agent::wire::Layer;

/// The directory of this machine in which runs keep what must survive their processes: the undo journal, and the
/// directories of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// `$DEPBENCH_STATE_DIR`, else `/var/lib/depbench` for root, else `depbench` under `$XDG_STATE_HOME` or
    /// `~/.local/state`.
    pub fn of_this_user() -> StateDir {
        let journal = node::journal::default_dir();
        StateDir(journal.parent().map_or(journal.clone(), Path::to_owned))
    }

    /// Another directory.
    pub fn at(path: &Path) -> io::Result<StateDir> {
        Ok(StateDir(std::path::absolute(path)?))
    }

    /// Where the undo journal lies.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// Where directories of nodes lie.
    pub(super) fn nodes(&self) -> PathBuf {
        self.0.join("nodes")
    }

    /// The directory of one node.
    pub(super) fn node(&self, run: &RunName, node: &NodeName) -> PathBuf {
        self.nodes()
            .join(format!("{}{run}-{node}", node::tag::PREFIX))
    }
}

/// For what and with what a cluster is made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The tag of everything it makes; no two live clusters of a machine have the same.
    pub run: RunName,
    /// The program to start on nodes: this one.
    pub program: PathBuf,
    /// Where it is noted what was made.
    pub state: StateDir,
    /// How long agents keep faults and processes without hearing from this controller.
    pub lease: Span,
    /// What lies over the servers' data.
    pub layer: Layer,
    /// Devices that may be formatted, each of one node.
    pub format: BTreeSet<(NodeName, PathBuf)>,
}

/// The run of a command that has no experiment: no other command's, also of those that begin within the same second.
pub fn run_of(command: &str) -> RunName {
    format!("{command}-{}-{}", Wall::now().label(), std::process::id())
        .parse()
        .expect("a command, a time and a number are short enough for a name")
}

impl Settings {
    /// As a run of this program has them.
    ///
    /// # Errors
    /// When the path of this program cannot be found out.
    pub fn new(run: RunName) -> Result<Settings, ClusterError> {
        let program = std::env::current_exe().map_err(|source| ClusterError::Program {
            path: "/proc/self/exe".into(),
            source,
        })?;
        Ok(Settings {
            run,
            program,
            state: StateDir::of_this_user(),
            lease: DEFAULT_LEASE,
            layer: Layer::None,
            format: BTreeSet::new(),
        })
    }
}
