//! What carries the frames between controller and agent: a child process here, or one on another machine through ssh.

use std::fmt::Display;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::procfs::ProcessTree;
use openssh::Session;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::Command;

use crate::agent::Options;

pub(super) type ToNode = Box<dyn AsyncWrite + Send + Unpin>;
pub(super) type FromNode = Box<dyn AsyncRead + Send + Unpin>;

/// What to do about an agent on another machine that is lost without having said why.
const MACHINE_LOST: &str = "its machine, or the way there, is gone or stalled for longer than the lease: look at its console, \
     and raise `lease` if it only stalls; the next trial waits for it as long as `rejoin_within` says";

/// How an agent is started.
#[derive(Debug, Clone)]
pub(in crate::cluster) enum Launch {
    /// As a child of this process.
    Here(PathBuf),
    /// On the machine at the other end of a session, with this command before the agent's own arguments.
    There {
        session: Arc<Session>,
        command: Vec<String>,
    },
}

/// The way to an agent.
pub(super) struct Bearer {
    pub(super) stdin: ToNode,
    pub(super) stdout: FromNode,
    pub(super) stderr: FromNode,
    pub(super) keeper: Keeper,
}

/// Holds what was started.
pub(super) struct Keeper {
    /// Resolves with its status once it has ended.
    ended: Pin<Box<dyn Future<Output = String> + Send>>,
    /// The status, from then on.
    status: Option<String>,
    guardian: Option<i32>,
}

impl Launch {
    /// What to do about an agent that does not get ready.
    pub(super) fn when_late(&self) -> &'static str {
        match self {
            Launch::Here(_) => "this machine has too much else to do: run less beside it",
            Launch::There { .. } => {
                "its machine has too much else to do, or its disk or the way to root hangs: log in by hand, and look at its \
                 load and at `dmesg`"
            }
        }
    }

    /// What to do about an agent that is lost without having said why.
    pub(super) fn when_lost(&self) -> &'static str {
        match self {
            Launch::Here(_) => "this machine stalled for longer than the lease: run less beside it",
            Launch::There { .. } => MACHINE_LOST,
        }
    }

    pub(super) async fn start(&self, options: &Options) -> Result<Bearer, String> {
        match self {
            Launch::Here(program) => here(Command::new(program).args(options.arguments()))
                .map_err(|error| format!("cannot start {}: {error}", program.display())),
            Launch::There { session, command } => {
                let arguments = options.arguments();
                let (program, before) = command.split_first().expect("a command has a program");
                let mut remote = Arc::clone(session).arc_command(program.as_str());
                remote.args(before);
                for argument in &arguments {
                    remote.arg(
                        argument
                            .to_str()
                            .ok_or("the agent's options are not text")?,
                    );
                }
                there(remote)
                    .await
                    .map_err(|error| format!("cannot start the agent: {error}"))
            }
        }
    }
}

fn here(command: &mut Command) -> std::io::Result<Bearer> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let ends = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let guardian = child.id().map(|pid| pid as i32);
    let ended = async move { child.wait().await.map(|status| status.to_string()) };
    Ok(Bearer::of(ends, ended, guardian))
}

async fn there(
    mut command: openssh::OwningCommand<Arc<Session>>,
) -> Result<Bearer, openssh::Error> {
    let mut child = command
        .stdin(openssh::Stdio::piped())
        .stdout(openssh::Stdio::piped())
        .stderr(openssh::Stdio::piped())
        .spawn()
        .await?;
    let ends = (
        child.stdin().take(),
        child.stdout().take(),
        child.stderr().take(),
    );
    let ended = async move {
        let ended = child.wait().await.map(|status| status.to_string());
        // ssh does not tell one from the other.
        ended.map_err(|error| format!("{error}: it was killed, or {MACHINE_LOST}"))
    };
    Ok(Bearer::of(ends, ended, None))
}

impl Bearer {
    /// From the three ends of what was started, and what resolves once it has ended.
    fn of<I, O, E, X>(
        ends: (Option<I>, Option<O>, Option<E>),
        ended: impl Future<Output = Result<String, X>> + Send + 'static,
        guardian: Option<i32>,
    ) -> Bearer
    where
        I: AsyncWrite + Send + Unpin + 'static,
        O: AsyncRead + Send + Unpin + 'static,
        E: AsyncRead + Send + Unpin + 'static,
        X: Display,
    {
        let (Some(stdin), Some(stdout), Some(stderr)) = ends else {
            unreachable!("all three were asked for as pipes");
        };
        Bearer {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            keeper: Keeper {
                ended: Box::pin(
                    async move { ended.await.unwrap_or_else(|error| error.to_string()) },
                ),
                status: None,
                guardian,
            },
        }
    }
}

impl Keeper {
    /// Waits until what was started has ended: with it, or with its connection, everything that the agent did ends.
    /// Cancel-safe.
    pub(super) async fn ended(&mut self) -> String {
        if self.status.is_none() {
            self.status = Some(self.ended.as_mut().await);
        }
        self.status.clone().unwrap_or_default()
    }

    /// The process that was started here.
    pub(super) fn guardian(&self) -> Option<i32> {
        self.guardian.filter(|_| self.status.is_none())
    }

    /// Kills the agent, so that its guardian heals. One on another machine ends when its connection does.
    pub(super) fn kill_agent(&mut self) {
        let Some(guardian) = self.guardian() else {
            self.abandon();
            return;
        };
        let tree = ProcessTree::under(guardian).unwrap_or_default();
        for sample in tree.processes.iter().skip(1) {
            // One that has just ended is what is wanted.
            let _ended_before = sample.process.signal(Signal::SIGKILL);
        }
    }

    /// Kills what was started, whatever it is; on another machine, only the connection to it is given up.
    pub(super) fn abandon(&mut self) {
        if let Some(guardian) = self.guardian() {
            // Not waited for yet, so the number is still its own.
            let _ended_before = kill(Pid::from_raw(guardian), Signal::SIGKILL);
        } else {
            self.status
                .get_or_insert("the connection was given up".to_owned());
            self.ended = Box::pin(std::future::pending());
        }
    }
}
