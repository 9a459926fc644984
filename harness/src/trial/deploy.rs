//! The target on its nodes: wiped, started, ready; and later stopped, its logs fetched.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use results::TrialWriter;
use targets::{Layout, MemberAddress, TargetSpec};
use tokio::time::{Instant, sleep, timeout};
use vocab::ids::NodeName;
use vocab::units::Span;

use super::TrialError;
use super::roles::Roles;
use crate::agent::wire::{Output, Place, Spawn};
use crate::cluster::{Node, NodeError, Process};

/// etcd needs up to 5 s here, a JVM longer; a loaded machine longer still.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long a member may take to answer what it is.
pub(super) const POLL_WITHIN: Span = Span::millis(900);

/// How long a member may take to end when it is asked to; then it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// The most of one log that is brought to the results, in bytes.
const LONGEST_LOG: usize = 4 << 20;

/// The most lines of a log that a message quotes.
const LAST_WORDS: usize = 5;

/// A member of the target, running on its node.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl Member {
    pub(super) fn node(&self) -> &Node {
        self.process.node()
    }
}

/// The target, running.
pub(super) struct Deployment {
    target: TargetSpec,
    pub(super) members: Vec<Member>,
}

impl Deployment {
    /// Empties the data of the nodes that are needed, and starts a member on each.
    pub(super) async fn start(
        spec: &TargetSpec,
        servers: &[Node],
    ) -> Result<Deployment, TrialError> {
        let target = spec.target();
        let servers = &servers[..target.members(servers.len())];
        let mut layout = Layout {
            members: servers
                .iter()
                .map(|node| MemberAddress {
                    node: node.name().clone(),
                    ip: node.address(),
                    data: node.data(),
                })
                .collect(),
            program: PathBuf::new(),
        };
        let mut deployment = Deployment {
            target: spec.clone(),
            members: Vec::new(),
        };
        for (index, node) in servers.iter().enumerate() {
            node.wipe().await?;
            layout.program = node.program().to_owned();
            let plan = target.member(&layout, index);
            let spawn = Spawn {
                name: target.name().to_owned(),
                argv: plan.argv,
                env: plan.env,
                cwd: None,
                place: Place::Server,
                output: Output::Log,
                cpus: Vec::new(),
            };
            let process = match node.spawn(spawn).await {
                Ok(process) => process,
                Err(NodeError::Refused { node, reason }) => {
                    deployment.stop().await;
                    return Err(TrialError::Start {
                        target: target.name().to_owned(),
                        node,
                        reason,
                        package: target.package(),
                    });
                }
                Err(lost) => return Err(lost.into()),
            };
            deployment.members.push(Member {
                process,
                address: target.client_address(node.address()),
            });
        }
        Ok(deployment)
    }

    /// Waits until every member is ready and one of them leads.
    pub(super) async fn until_ready(&self, roles: &mut Roles) -> Result<(), TrialError> {
        let names = self.names();
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let polls = self.members.iter().map(|member| {
                member
                    .node()
                    .poll(&self.target, member.address, POLL_WITHIN)
            });
            for (member, status) in self.members.iter().zip(join_all(polls).await) {
                roles.update(member.node().name(), status?.ok());
            }
            if roles.settled(&names) {
                return Ok(());
            }
            self.check_alive().await?;
            if Instant::now() > deadline {
                return Err(TrialError::NotReady {
                    target: self.target.target().name().to_owned(),
                    within: READY_WITHIN,
                    accounts: roles.describe(&names),
                });
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Complains if a member has ended.
    pub(super) async fn check_alive(&self) -> Result<(), TrialError> {
        for member in &self.members {
            if let Some(exit) = member.process.exit() {
                return Err(TrialError::Ended {
                    target: self.target.target().name().to_owned(),
                    node: member.node().name().clone(),
                    cause: exit.cause.to_string(),
                    log: self.last_words(member).await,
                });
            }
        }
        Ok(())
    }

    /// The nodes of the members, in their order.
    pub(super) fn names(&self) -> Vec<NodeName> {
        self.members
            .iter()
            .map(|member| member.node().name().clone())
            .collect()
    }

    /// Ends every member: asks first, kills what does not listen. Lost nodes have none left.
    pub(super) async fn stop(&self) {
        join_all(self.members.iter().map(|member| stop(&member.process))).await;
    }

    /// Brings the members' logs to the results, as far as they can be had.
    pub(super) async fn fetch_logs(&self, files: &TrialWriter) {
        for member in &self.members {
            fetch_logs(member.node(), member.process.name(), files).await;
        }
    }

    async fn last_words(&self, member: &Member) -> String {
        let mut words = String::new();
        for ending in ["out", "err"] {
            let path = member
                .node()
                .logs()
                .join(format!("{}.{ending}", member.process.name()));
            if let Ok(log) = member.node().fetch(&path, LONGEST_LOG).await {
                let log = String::from_utf8_lossy(&log).into_owned();
                words.push_str(&last_words_of(&log));
            }
        }
        words
    }
}

/// The end of a log; where a program panicked, what it said of it, not the stack below.
fn last_words_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let panicked = lines
        .iter()
        .position(|line| line.starts_with("panic: ") || line.contains("panicked at "));
    let from = panicked.unwrap_or(lines.len().saturating_sub(LAST_WORDS));
    let to = lines.len().min(from + LAST_WORDS);
    lines[from..to].join("\n").trim().to_owned()
}

/// Ends a process: asks first, kills it if it does not listen.
pub(super) async fn stop(process: &Process) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        // Stopped processes listen only when they go on. An error means that it has ended or its node is lost.
        let _ended = process.signal(Signal::SIGCONT).await;
        let _ended = process.signal(signal).await;
        if timeout(STOP_WITHIN, process.wait()).await.is_ok() {
            return;
        }
    }
}

/// Brings what a process printed to the results, as far as it can be had.
pub(super) async fn fetch_logs(node: &Node, name: &str, files: &TrialWriter) {
    for ending in ["out", "err"] {
        let log = node
            .fetch(&node.logs().join(format!("{name}.{ending}")), LONGEST_LOG)
            .await;
        if let Ok(log) = log
            && !log.is_empty()
        {
            // A full disk shows in files that matter more.
            let _unwritten = std::fs::write(
                files.log_path(node.name(), &format!("{name}-{ending}")),
                log,
            );
        }
    }
}

/// A spawn of this program itself on a client node.
pub(super) fn own_job(client: &Node, verb: &str) -> Spawn {
    Spawn {
        name: verb.to_owned(),
        argv: vec![
            client.program().to_string_lossy().into_owned(),
            verb.to_owned(),
        ],
        env: BTreeMap::new(),
        cwd: None,
        place: Place::Client,
        output: Output::Stream,
        cpus: Vec::new(),
    }
}
