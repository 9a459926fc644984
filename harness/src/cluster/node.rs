mod faults;
mod files;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use targets::{Status, StatusError, TargetSpec};
use tokio::sync::watch;
use vocab::ids::NodeName;
use vocab::time::Monotonic;
use vocab::units::Span;

use super::clock::ClockOffset;
use super::error::NodeError;
use super::link::{Ended, Feed, Link};
use super::process::{Job, Process};
use crate::agent::wire::{
    MAX_PAYLOAD, Output, Prepare, Prepared, ProcessId, Request, Response, Spawn,
};

pub use faults::Injected;

/// How long an agent may take for what it does at once.
const PROMPT: Duration = Duration::from_secs(10);

/// How long an agent may take to make a machine or to undo everything.
const THOROUGH: Duration = Duration::from_secs(60);

/// How long a device may take to be formatted: all of its inode tables and its journal are written, gigabytes on a large
/// one.
const FORMATTING: Duration = Duration::from_secs(15 * 60);

/// A node of the cluster, through its agent. Clones stand for the same node.
#[derive(Clone)]
pub struct Node {
    link: Link,
    identity: Arc<Identity>,
}

/// What does not change while the agent lives.
pub(super) struct Identity {
    pub(super) name: NodeName,
    pub(super) purpose: Purpose,
    pub(super) address: IpAddr,
    /// When it is a process of this machine.
    pub(super) agent_pid: Option<i32>,
    pub(super) dir: PathBuf,
    /// This program, as the node knows it.
    pub(super) program: PathBuf,
    pub(super) ended: watch::Receiver<Ended>,
}

/// What a node is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Runs a member of the target.
    Server,
    /// Drives load.
    Client,
    /// Routes between the others; the injection site of network faults.
    Hub,
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Purpose::Server => "server",
            Purpose::Client => "client",
            Purpose::Hub => "hub",
        })
    }
}

impl Node {
    pub(super) fn new(link: Link, identity: Identity) -> Node {
        Node {
            link,
            identity: Arc::new(identity),
        }
    }

    /// Its name.
    pub fn name(&self) -> &NodeName {
        &self.identity.name
    }

    /// What it is there for.
    pub fn purpose(&self) -> Purpose {
        self.identity.purpose
    }

    /// The address at which other nodes reach it.
    pub fn address(&self) -> IpAddr {
        self.identity.address
    }

    /// Its agent's process number, as the controller sees it, if it is a process of this machine.
    pub fn agent_pid(&self) -> Option<i32> {
        self.identity.agent_pid
    }

    /// The depbench program on the node.
    pub fn program(&self) -> &Path {
        &self.identity.program
    }

    /// An empty directory on the disk of the node; another path on every node.
    pub fn data(&self) -> PathBuf {
        crate::agent::data_dir(&self.identity.dir)
    }

    /// Where the logs of its processes lie, on the node.
    pub fn logs(&self) -> PathBuf {
        crate::agent::logs_dir(&self.identity.dir)
    }

    /// Why the agent is lost, once it is.
    pub fn lost(&self) -> Option<String> {
        self.link.lost().borrow().clone()
    }

    /// Resolves with the reason once the agent is lost.
    pub async fn until_lost(&self) -> String {
        let mut lost = self.link.lost();
        match lost.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "its connection is closed".to_owned(),
        }
    }

    /// What the node is and can do.
    ///
    /// # Errors
    /// A lost agent, as for everything below.
    pub async fn facts(&self) -> Result<node::facts::Facts, NodeError> {
        match self.ask(Request::Facts, PROMPT).await? {
            Response::Facts(facts) => Ok(*facts),
            other => Err(self.off_topic(&other)),
        }
    }

    pub(super) async fn prepare(&self, prepare: Prepare) -> Result<Prepared, NodeError> {
        let device = prepare.disk.formatted().map(Path::to_owned);
        let within = device.as_ref().map_or(THOROUGH, |_| FORMATTING);
        match (self.ask(Request::Prepare(prepare), within).await, device) {
            (Ok(Response::Prepared(prepared)), _) => Ok(prepared),
            (Ok(other), _) => Err(self.off_topic(&other)),
            (Err(NodeError::Slow { .. }), Some(device)) => Err(self.refused(format!(
                "formatting {} took longer than {} minutes, though its agent lives: the device is too large or stalls \
                 (see `dmesg` there); format a partition of it instead",
                device.display(),
                within.as_secs() / 60
            ))),
            (Err(error), _) => Err(error),
        }
    }

    pub(super) async fn adopt(&self, pid: i32) -> Result<Prepared, NodeError> {
        match self.ask(Request::Adopt { pid }, THOROUGH).await? {
            Response::Prepared(prepared) => Ok(prepared),
            other => Err(self.off_topic(&other)),
        }
    }

    /// Starts a process.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn spawn(&self, spawn: Spawn) -> Result<Process, NodeError> {
        let spawn = Spawn {
            output: Output::Log,
            ..spawn
        };
        Ok(self.start(spawn, Vec::new()).await?.0)
    }

    /// Starts a process whose standard input is `input` and whose standard output comes back line by line. Its lines
    /// must be read: when a few hundred kilobytes wait unread, everything else from this node waits with them.
    ///
    /// # Errors
    /// When the program cannot be started, or `input` is longer than one frame's payload.
    pub async fn run_job(&self, spawn: Spawn, input: Vec<u8>) -> Result<Job, NodeError> {
        if input.len() > MAX_PAYLOAD {
            let reason = format!(
                "{} bytes of standard input, expected at most {MAX_PAYLOAD}",
                input.len()
            );
            return Err(self.refused(reason));
        }
        let (process, output) = self
            .start(
                Spawn {
                    output: Output::Stream,
                    ..spawn
                },
                input,
            )
            .await?;
        Ok(Job::new(process, output))
    }

    /// Signals a process and all of its group.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal(&self, process: ProcessId, signal: Signal) -> Result<(), NodeError> {
        self.done(Request::Signal {
            process,
            signal: signal as i32,
        })
        .await
    }

    /// Asks the member of `target` that serves clients at `address` for its own account of itself, from this node.
    ///
    /// # Errors
    /// The outer one when this node is lost, the inner one when the member gives no account.
    pub async fn poll(
        &self,
        target: &TargetSpec,
        address: std::net::SocketAddr,
        within: Span,
    ) -> Result<Result<Status, StatusError>, NodeError> {
        let request = Request::Poll {
            target: target.clone(),
            address,
            within,
        };
        match self.ask(request, within.duration() + PROMPT).await? {
            Response::Polled(status) => Ok(status),
            other => Err(self.off_topic(&other)),
        }
    }

    /// Asks a member that is built on DepFast, from this node, for whom it has waited and what its detectors have found.
    ///
    /// # Errors
    /// The outer one when this node is lost, the inner one when the member does not tell.
    pub async fn waits(
        &self,
        address: std::net::SocketAddr,
        within: Span,
    ) -> Result<Result<targets::Waits, StatusError>, NodeError> {
        let request = Request::Waits { address, within };
        match self.ask(request, within.duration() + PROMPT).await? {
            Response::Waits(waits) => Ok(waits),
            other => Err(self.off_topic(&other)),
        }
    }

    /// Has the node report its usage at this interval from now on, as events of the cluster.
    ///
    /// # Errors
    /// A lost agent.
    pub async fn sample(&self, every: Span) -> Result<(), NodeError> {
        self.done(Request::Sample { every }).await
    }

    /// Finds out how far the node's clock is from this machine's, and puts every time that the node tells from now on
    /// in this machine's.
    pub(super) async fn sync_clock(&self) -> Result<(), NodeError> {
        self.link.sync_clock(PROMPT).await
    }

    /// How far the node's clock is from this machine's by now; its times go on as they are.
    ///
    /// # Errors
    /// A lost agent.
    pub async fn compare_clock(&self) -> Result<ClockOffset, NodeError> {
        self.link.compare_clock(PROMPT).await
    }

    /// How far the node's clock is from this machine's.
    pub fn clock(&self) -> ClockOffset {
        self.link.clock()
    }

    /// A moment of the node's clock, by this machine's.
    pub fn local_time(&self, at: Monotonic) -> Monotonic {
        self.clock().local(at)
    }

    /// Has the agent undo everything and end; gives what it could not undo, in plain words.
    pub(super) async fn goodbye(&self) -> Result<Vec<String>, NodeError> {
        match self.ask(Request::Goodbye, THOROUGH).await? {
            Response::Goodbye(problems) => Ok(problems),
            other => Err(self.off_topic(&other)),
        }
    }

    /// Resolves once the agent's process has ended.
    pub(super) async fn ended(&self) {
        let mut ended = self.identity.ended.clone();
        // An error means that the watching task is gone, and with it the process.
        let _ended = ended.wait_for(|ended| *ended == Ended::Yes).await;
    }

    async fn start(
        &self,
        spawn: Spawn,
        input: Vec<u8>,
    ) -> Result<(Process, tokio::sync::mpsc::Receiver<Vec<u8>>), NodeError> {
        let (feed, fed) = Feed::new();
        let name = spawn.name.clone();
        let (response, _) = self
            .link
            .ask_with(Request::Spawn(spawn), input, PROMPT, Some(feed))
            .await?;
        match response {
            Response::Spawned { process, pid } => Ok((
                Process::new(process, pid, name, fed.exit, self.clone()),
                fed.output,
            )),
            other => Err(self.off_topic(&other)),
        }
    }

    pub(super) fn lost_error(&self) -> NodeError {
        NodeError::Lost {
            node: self.name().clone(),
            reason: self.lost().unwrap_or_default(),
        }
    }

    async fn ask(&self, request: Request, within: Duration) -> Result<Response, NodeError> {
        Ok(self.link.ask(request, Vec::new(), within).await?.0)
    }

    async fn done(&self, request: Request) -> Result<(), NodeError> {
        match self.ask(request, PROMPT).await? {
            Response::Done => Ok(()),
            other => Err(self.off_topic(&other)),
        }
    }

    fn refused(&self, reason: String) -> NodeError {
        NodeError::Refused {
            node: self.name().clone(),
            reason,
        }
    }

    fn off_topic(&self, answer: &Response) -> NodeError {
        NodeError::OffTopic {
            node: self.name().clone(),
            answer: format!("{answer:?}").chars().take(100).collect(),
        }
    }
}
