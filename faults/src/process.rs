//! The side of a helper that its starter sees.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use node::identity::ProcessId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::FaultError;

/// How helpers are started: a program and what comes before the helper's verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperProgram {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl HelperProgram {
    /// This very program, which must know the verbs of [`crate::helpers`].
    pub fn myself() -> HelperProgram {
        HelperProgram::new("/proc/self/exe", [])
    }

    /// Another program, with the arguments that come before the verb.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> HelperProgram {
        HelperProgram {
            program: program.into(),
            arguments: arguments.into_iter().collect(),
        }
    }

    /// The command that starts helper `verb`.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(verb);
        command
    }
}

/// A helper that was started; it ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct HelperProcess {
    verb: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// How long a helper may take to answer; it has nothing to do but that, on a machine that may be full of other things.
const PATIENCE: Duration = Duration::from_secs(30);

impl HelperProcess {
    /// Starts `command` as helper `verb`; it changes nothing until it gets its job.
    pub(crate) fn start(verb: &'static str, mut command: Command) -> Result<Self, FaultError> {
        let failed = |source| FaultError::Helper {
            verb,
            reason: format!("cannot be started: {source}"),
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Ok(HelperProcess {
            verb,
            child,
            stdin,
            stdout: BufReader::new(stdout.expect("stdout was asked to be a pipe")),
        })
    }

    /// Which process it is.
    pub(crate) fn id(&self) -> Result<ProcessId, FaultError> {
        let found = ProcessId::of(self.child.id() as i32).map_err(|error| error.to_string());
        let found = found.and_then(|id| id.ok_or_else(|| "has ended at once".to_owned()));
        found.map_err(|reason| self.failed(reason))
    }

    /// Gives the helper its job, and waits until it is in effect.
    pub(crate) fn begin<Job: Serialize, State: DeserializeOwned>(
        &mut self,
        job: &Job,
    ) -> Result<State, FaultError> {
        self.begin_within(job, PATIENCE)
    }

    /// The same for a job that takes its time.
    pub(crate) fn begin_within<Job: Serialize, State: DeserializeOwned>(
        &mut self,
        job: &Job,
        patience: Duration,
    ) -> Result<State, FaultError> {
        let line = serde_json::to_string(job).map_err(|error| self.failed(error.to_string()))?;
        self.ask(&line, patience)
    }

    /// The helper's state now.
    pub(crate) fn state<State: DeserializeOwned>(&mut self) -> Result<State, FaultError> {
        self.ask("state", PATIENCE)
    }

    /// Gives the helper another order, and waits until it is in effect.
    pub(crate) fn order<Order: Serialize, State: DeserializeOwned>(
        &mut self,
        order: &Order,
    ) -> Result<State, FaultError> {
        self.begin(order)
    }

    /// Ends the helper, and waits until it has; says nothing of how it ended.
    pub(crate) fn end(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        // An error means that somebody else has reaped it.
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn ask<State: DeserializeOwned>(
        &mut self,
        line: &str,
        patience: Duration,
    ) -> Result<State, FaultError> {
        let sent = self.stdin.as_mut().map(|stdin| writeln!(stdin, "{line}"));
        if !matches!(sent, Some(Ok(()))) {
            return Err(self.ended_early());
        }
        let mut answer = String::new();
        if !self.has_answer(patience) {
            return Err(self.failed(format!("does not answer within {} s", patience.as_secs())));
        }
        match self.stdout.read_line(&mut answer) {
            Ok(0) | Err(_) => Err(self.ended_early()),
            Ok(_) => serde_json::from_str(&answer)
                .map_err(|error| self.failed(format!("answered `{}`: {error}", answer.trim()))),
        }
    }

    fn has_answer(&self, patience: Duration) -> bool {
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(
            self.stdout.get_ref().as_fd(),
            PollFlags::POLLIN,
        )];
        poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
    }

    fn ended_early(&mut self) -> FaultError {
        self.end();
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // What cannot be read is not said.
            let _ = stderr.read_to_string(&mut said);
        }
        let said = said.trim();
        self.failed(match said.is_empty() {
            true => "has ended".to_owned(),
            false => format!("has ended: {said}"),
        })
    }

    fn failed(&self, reason: String) -> FaultError {
        FaultError::Helper {
            verb: self.verb,
            reason,
        }
    }
}

impl Drop for HelperProcess {
    fn drop(&mut self) {
        self.end();
    }
}
