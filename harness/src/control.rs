//! What the controller of a run can be asked by other processes of its machine, over a socket without a name in any file
//! system, so that nothing of it can be left behind.
//!
//! - [`serve`]: the controller's side;
//! - [`client`], [`fault`]: the other one.
//!
//! Asks and answers are lines of JSON.

pub mod client;
pub mod fault;
pub mod serve;

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;

use serde::{Deserialize, Serialize};
use vocab::ids::{NodeName, RunName};

use crate::agent::wire::Exit;
use crate::inject::Told;

/// What names of sockets begin with.
const PREFIX: &str = "depbench/";

/// What is asked of a controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// A fault, until its time is over or the connection ends.
    Fault(fault::Order),
    /// Which nodes its cluster has.
    Nodes,
    /// Which logs a node has.
    Logs {
        /// The node.
        node: NodeName,
    },
    /// A piece of a log.
    Read {
        /// The node.
        node: NodeName,
        /// The log's name.
        log: String,
        /// From where on, in bytes.
        offset: u64,
    },
    /// A program on a node, until it or the connection ends; it prints into two logs.
    Exec {
        /// The node.
        node: NodeName,
        /// Program and arguments; no shell sees them.
        argv: Vec<String>,
    },
}

/// What a controller answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Ask::Fault`]: one after the other.
    Fault(Told),
    /// To [`Ask::Nodes`].
    Nodes(Vec<NodeName>),
    /// To [`Ask::Logs`].
    Logs(Vec<String>),
    /// To [`Ask::Read`]; empty at the end.
    Piece(Vec<u8>),
    /// To [`Ask::Exec`]: it prints into the logs of this name that end with `.out` and `.err`.
    Started(String),
    /// To [`Ask::Exec`], later.
    Ended(Exit),
    /// To [`Ask::Exec`], instead: there is no such program, or it cannot be started.
    NotStarted(String),
    /// The node has gone down, or is lost.
    Down(String),
    /// What was asked cannot be done.
    Failed(String),
}

impl Answer {
    /// As it is sent.
    fn line(&self) -> String {
        serde_json::to_string(self).expect("an answer can be written") + "\n"
    }
}

/// The controller of a run cannot be spoken to.
#[derive(Debug, thiserror::Error)]
#[error("cannot speak to the controller of run {run}")]
pub struct ControlError {
    /// The run.
    pub run: RunName,
    /// Why not.
    pub source: io::Error,
}

impl ControlError {
    /// Whether the controller has ended, or the node that was asked for.
    pub fn is_its_end(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
        [BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof].contains(&self.source.kind())
    }
}

fn address(run: &RunName) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("{PREFIX}{run}"))
}
