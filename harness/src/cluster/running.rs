//! Nodes of clusters that are up, whoever their controller is, as long as it runs on this machine: for the verbs `exec`,
//! `logs` and `inject`. Nodes made out of this machine say so in their directories; of others their controllers tell.

mod enter;
mod logs;
mod up;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use node::identity::ProcessId;
use node::journal::Purpose;
use serde::{Deserialize, Serialize};

use super::node::Node;
use super::state::StateDir;
use crate::agent::Options;
use crate::control::ControlError;

pub use enter::exec;
pub use logs::{Follow, show_logs};
pub use up::{Up, everywhere, find};

/// The file in a node's directory that says who it is.
const FILE: &str = "agent.json";

/// A node that is up, made out of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningNode {
    /// Run and node.
    pub purpose: Purpose,
    /// Its agent, as processes outside the node see it.
    pub agent: ProcessId,
    /// Its address.
    pub address: String,
    /// Its directory.
    pub dir: PathBuf,
}

/// No node of a running cluster can be told by a name.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// There is none.
    #[error("no node `{wanted}` is up; {}", known(.up))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        up: Vec<String>,
    },
    /// There are several.
    #[error("several runs have a node `{wanted}`: say which, as in `{}`", .up.first().map_or("RUN/NODE", String::as_str))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Those that fit.
        up: Vec<String>,
    },
    /// Its namespaces cannot be entered.
    #[error("cannot enter node {node}: {step}")]
    Enter {
        /// The node.
        node: String,
        /// What was tried.
        step: String,
        /// Why not.
        source: io::Error,
    },
    /// A program cannot be started there.
    #[error("cannot start `{program}` on node {node}")]
    Start {
        /// The node.
        node: String,
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A file or directory.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The controller of its run does not tell.
    #[error(transparent)]
    Controller(#[from] ControlError),
    /// Nobody reads what is shown.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

fn known(up: &[String]) -> String {
    match up {
        [] => "no cluster is (`depbench run --keep` leaves one up)".to_owned(),
        up => format!("there are {}", up.join(", ")),
    }
}

impl RunningNode {
    /// `run/node`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.purpose.run, self.purpose.node)
    }

    /// Where its servers keep their data.
    pub fn data(&self) -> PathBuf {
        crate::agent::data_dir(&self.dir)
    }

    /// Where its logs lie.
    pub fn logs(&self) -> PathBuf {
        crate::agent::logs_dir(&self.dir)
    }
}

/// Notes in the node's directory that it is up; the note goes with the directory.
pub(super) fn announce(options: &Options, node: &Node) -> io::Result<()> {
    let gone = || io::Error::other("its agent has ended");
    let note = RunningNode {
        purpose: options.purpose.clone(),
        agent: ProcessId::of(node.agent_pid().ok_or_else(gone)?)?.ok_or_else(gone)?,
        address: node.address().to_string(),
        dir: options.dir.clone(),
    };
    let new = options.dir.join("agent.json.new");
    fs::write(&new, serde_json::to_vec_pretty(&note)?)?;
    fs::rename(new, options.dir.join(FILE))
}

/// All nodes that are up and made out of this machine.
///
/// # Errors
/// When the state directory cannot be read.
pub fn list(state: &StateDir) -> Result<Vec<RunningNode>, RunningError> {
    let dir = state.nodes();
    let read = |path: &Path| {
        let path = path.to_owned();
        move |source| RunningError::Read { path, source }
    };
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read(&dir))?,
    };
    let mut nodes = Vec::new();
    for entry in entries {
        let path = entry.map_err(read(&dir))?.path().join(FILE);
        // One that is being made or taken down has no note.
        let note = fs::read(path)
            .ok()
            .and_then(|text| serde_json::from_slice::<RunningNode>(&text).ok());
        nodes.extend(note.filter(|node| node.agent.is_alive()));
    }
    nodes.sort_by_key(RunningNode::full_name);
    Ok(nodes)
}
