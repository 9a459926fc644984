use std::collections::VecDeque;

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};

use super::error::NodeError;
use super::node::Node;
use crate::agent::wire::{Exit, ProcessId};

/// The longest line that a job may print, in bytes.
const LONGEST_LINE: usize = 16 << 20;

/// A process on a node. Dropping the handle leaves it running until the agent ends.
#[derive(Clone)]
pub struct Process {
    id: ProcessId,
    pid: i32,
    name: String,
    exit: watch::Receiver<Option<Exit>>,
    node: Node,
}

impl Process {
    pub(super) fn new(
        id: ProcessId,
        pid: i32,
        name: String,
        exit: watch::Receiver<Option<Exit>>,
        node: Node,
    ) -> Process {
        Process {
            id,
            pid,
            name,
            exit,
            node,
        }
    }

    /// Its number with the agent.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Its process number as processes of its node see it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// As it was started; names its logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node it runs on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When the agent is lost, and the process with it.
    pub async fn wait(&self) -> Result<Exit, NodeError> {
        let mut exit = self.exit.clone();
        let ended = exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|exit| *exit);
        ended.ok_or_else(|| self.node.lost_error())
    }

    /// Signals it and all of its group.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal(&self, signal: Signal) -> Result<(), NodeError> {
        self.node.signal(self.id, signal).await
    }
}

/// A process whose standard output comes back line by line.
pub struct Job {
    process: Process,
    output: mpsc::Receiver<Vec<u8>>,
    lines: Lines,
}

impl Job {
    pub(super) fn new(process: Process, output: mpsc::Receiver<Vec<u8>>) -> Job {
        Job {
            process,
            output,
            lines: Lines::default(),
        }
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The next line without its end; `None` once the process has closed its output or the agent is lost
    /// ([`Process::wait`] tells which). Cancel-safe.
    ///
    /// A line above 16 MiB is cut into several. What is not UTF-8 is replaced.
    pub async fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.lines.next() {
                return Some(line);
            }
            match self.output.recv().await {
                Some(piece) if !piece.is_empty() => self.lines.push(&piece),
                Some(_) | None => {
                    self.output.close();
                    return self.lines.finish();
                }
            }
        }
    }
}

/// Cuts pieces of text into lines.
#[derive(Default)]
struct Lines {
    whole: VecDeque<String>,
    begun: Vec<u8>,
}

impl Lines {
    fn push(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.begun.extend_from_slice(end);
                    self.cut();
                }
                None => self.begun.extend_from_slice(part),
            }
        }
        if self.begun.len() > LONGEST_LINE {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let line = std::mem::take(&mut self.begun);
        self.whole
            .push_back(String::from_utf8_lossy(&line).into_owned());
    }

    fn next(&mut self) -> Option<String> {
        self.whole.pop_front()
    }

    /// What was begun when the stream ended.
    fn finish(&mut self) -> Option<String> {
        if !self.begun.is_empty() {
            self.cut();
        }
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for piece in ["a", "b\nc\n\nd", "", "e\n", "rest"] {
            lines.push(piece.as_bytes());
            got.extend(std::iter::from_fn(|| lines.next()));
        }
        got.extend(lines.finish());
        assert_eq!(got, ["ab", "c", "", "de", "rest"]);
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LONGEST_LINE + 1]);
        assert_eq!(lines.next().map(|line| line.len()), Some(LONGEST_LINE + 1));
    }
}
