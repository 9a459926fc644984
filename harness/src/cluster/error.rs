use std::time::Duration;

use vocab::ids::NodeName;

/// A node could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NodeError {
    /// Its agent refused or failed.
    #[error("node {node}: {reason}")]
    Refused {
        /// The node.
        node: NodeName,
        /// What failed and what would help.
        reason: String,
    },
    /// Its agent is gone; the node must be rebuilt.
    #[error("node {node} lost its agent: {reason}")]
    Lost {
        /// The node.
        node: NodeName,
        /// As far as it is known.
        reason: String,
    },
    /// Its agent did not answer in time.
    #[error(
        "node {node} did not answer within {within:?}: its machine, or the way there, stalls or is gone; look at its load, its \
         console and `dmesg` there"
    )]
    Slow {
        /// The node.
        node: NodeName,
        /// How long was waited.
        within: Duration,
    },
    /// Its agent answered another question.
    #[error(
        "node {node} answered something else than was asked ({answer}): the agent is another build"
    )]
    OffTopic {
        /// The node.
        node: NodeName,
        /// What it answered.
        answer: String,
    },
}

/// A cluster could not be made, used, or taken down.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No mode that may be used works here.
    #[error("no cluster can be made on this machine:{}", listed(.tried))]
    NoMode {
        /// Mode and what failed.
        tried: Vec<(String, String)>,
    },
    /// A node could not be made.
    #[error("cannot start node {node}: {reason}")]
    Start {
        /// The node.
        node: NodeName,
        /// Where and why it failed.
        reason: String,
    },
    /// Making it was given up because a person said so; nothing of it is there.
    #[error("interrupted")]
    Interrupted,
    /// A node of the cluster failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// There is no such node.
    #[error("there is no node {name}; this cluster has {}", .known.join(", "))]
    UnknownNode {
        /// The name.
        name: NodeName,
        /// The names there are.
        known: Vec<String>,
    },
    /// Something could not be undone.
    #[error("not everything could be undone; `depbench heal` tries again:{}", .problems.iter().map(|p| format!("\n  {p}")).collect::<String>())]
    Left {
        /// What, in plain words.
        problems: Vec<String>,
    },
    /// Something was asked for in the experiment file that this machine cannot give.
    #[error("{0}")]
    Impossible(String),
    /// This program cannot be found or read, so it cannot be started on nodes.
    #[error("cannot read the program {}", .path.display())]
    Program {
        /// Its path.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

fn listed(tried: &[(String, String)]) -> String {
    tried
        .iter()
        .map(|(mode, reason)| format!("\n  {mode}: {reason}"))
        .collect()
}
