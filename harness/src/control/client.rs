//! Asking: which runs there are, their nodes, logs and programs.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use nix::unistd::geteuid;
use node::journal::Purpose;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};
use vocab::ids::{NodeName, RunName};

use super::{Answer, Ask, ControlError, PREFIX, address};
use crate::agent::wire::{Exit, ExitCause};

/// How long a controller may take to name its nodes.
const PROMPT: Duration = Duration::from_secs(5);

/// How often it is looked whether a program has printed more.
const PAUSE: Duration = Duration::from_millis(100);

/// A conversation with the controller of a run.
pub struct Controller {
    run: RunName,
    answers: Lines<BufReader<OwnedReadHalf>>,
    asks: OwnedWriteHalf,
}

impl Controller {
    /// Begins one.
    ///
    /// # Errors
    /// Nobody listens for a run of this name, or somebody whom this account cannot trust.
    pub fn of(run: &RunName) -> Result<Controller, ControlError> {
        let connect = || -> io::Result<UnixStream> {
            let stream = StdStream::connect_addr(&address(run)?)?;
            stream.set_nonblocking(true)?;
            let stream = UnixStream::from_std(stream)?;
            // Anybody may listen at any name.
            let (own, listener) = (geteuid().as_raw(), stream.peer_cred()?.uid());
            if own != 0 && listener != own && listener != 0 {
                return Err(io::Error::other("another account listens there"));
            }
            Ok(stream)
        };
        let stream = connect().map_err(|source| ControlError {
            run: run.clone(),
            source,
        })?;
        let (answers, asks) = stream.into_split();
        Ok(Controller {
            run: run.clone(),
            answers: BufReader::new(answers).lines(),
            asks,
        })
    }

    /// The nodes of its cluster.
    ///
    /// # Errors
    /// The controller is gone, as for everything below.
    pub async fn nodes(&mut self) -> Result<Vec<NodeName>, ControlError> {
        match self.ask(&Ask::Nodes).await? {
            Answer::Nodes(nodes) => Ok(nodes),
            other => Err(self.odd(&other)),
        }
    }

    /// The logs of a node.
    ///
    /// # Errors
    /// The node is lost.
    pub async fn logs(&mut self, node: &NodeName) -> Result<Vec<String>, ControlError> {
        let node = node.clone();
        match self.ask(&Ask::Logs { node }).await? {
            Answer::Logs(logs) => Ok(logs),
            other => Err(self.odd(&other)),
        }
    }

    /// A piece of a log; empty at its end.
    ///
    /// # Errors
    /// The node is lost, or has no such log.
    pub async fn read(
        &mut self,
        node: &NodeName,
        log: &str,
        offset: u64,
    ) -> Result<Vec<u8>, ControlError> {
        let ask = Ask::Read {
            node: node.clone(),
            log: log.to_owned(),
            offset,
        };
        match self.ask(&ask).await? {
            Answer::Piece(piece) => Ok(piece),
            other => Err(self.odd(&other)),
        }
    }

    /// Asks and waits for the first answer.
    async fn ask(&mut self, ask: &Ask) -> Result<Answer, ControlError> {
        self.send(ask).await?;
        self.hear().await
    }

    pub(super) async fn send(&mut self, ask: &Ask) -> Result<(), ControlError> {
        let line = serde_json::to_string(ask).expect("an ask can be written") + "\n";
        let sent = self.asks.write_all(line.as_bytes()).await;
        sent.map_err(|source| self.failed(source))
    }

    /// The next answer. Cancel-safe.
    pub(super) async fn hear(&mut self) -> Result<Answer, ControlError> {
        let line = self.answers.next_line().await;
        let line = line.map_err(|source| self.failed(source))?;
        let line = line.ok_or_else(|| self.failed(io::ErrorKind::UnexpectedEof.into()))?;
        serde_json::from_str(&line).map_err(|error| self.failed(error.into()))
    }

    /// Says that nothing more will be asked.
    pub(super) async fn finish(&mut self) -> Result<(), ControlError> {
        let finished = self.asks.shutdown().await;
        finished.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ControlError {
        ControlError {
            run: self.run.clone(),
            source,
        }
    }

    /// It failed, or says something else than it was asked.
    pub(super) fn odd(&self, answer: &Answer) -> ControlError {
        self.failed(match answer {
            Answer::Failed(reason) => io::Error::other(reason.clone()),
            Answer::Down(reason) => io::Error::new(io::ErrorKind::NotConnected, reason.clone()),
            other => io::Error::other(format!(
                "it answered something else than was asked: {other:?}"
            )),
        })
    }
}

/// All nodes of runs whose controller is on this machine and lets this account ask.
///
/// # Errors
/// When `/proc` cannot be read.
pub async fn nodes() -> io::Result<Vec<Purpose>> {
    let mut nodes = Vec::new();
    for run in runs(&fs::read_to_string("/proc/net/unix")?) {
        // It may just have ended, or belong to another account.
        let Ok(mut controller) = Controller::of(&run) else {
            continue;
        };
        if let Ok(Ok(named)) = timeout(PROMPT, controller.nodes()).await {
            nodes.extend(named.into_iter().map(|node| Purpose {
                run: run.clone(),
                node,
            }));
        }
    }
    Ok(nodes)
}

/// The runs for which somebody listens, by the kernel's list of sockets.
fn runs(sockets: &str) -> BTreeSet<RunName> {
    let names = sockets
        .lines()
        .filter_map(|line| line.split_whitespace().last()?.strip_prefix('@'));
    let runs = names.filter_map(|name| name.strip_prefix(PREFIX)?.parse().ok());
    runs.collect()
}

/// What became of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executed {
    /// It has ended.
    Ended(ExitCause),
    /// It could not be started; why.
    Not(String),
}

/// Runs a program on a node of a run, and passes on what it prints.
///
/// # Errors
/// The node is lost, or nobody takes what it prints.
pub async fn exec(
    node: &Purpose,
    argv: &[String],
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Executed, ControlError> {
    let mut program = Controller::of(&node.run)?;
    let asked = Ask::Exec {
        node: node.node.clone(),
        argv: argv.to_vec(),
    };
    let name = match program.ask(&asked).await? {
        Answer::Started(name) => name,
        Answer::NotStarted(reason) => return Ok(Executed::Not(reason)),
        other => return Err(program.odd(&other)),
    };
    let mut reader = Controller::of(&node.run)?;
    let (mut heard, mut complained) = (0, 0);
    let mut ended: Option<Exit> = None;
    loop {
        let mut printed =
            pass_on(&mut reader, node, &format!("{name}.out"), &mut heard, out).await?;
        printed |= pass_on(
            &mut reader,
            node,
            &format!("{name}.err"),
            &mut complained,
            err,
        )
        .await?;
        if printed {
            continue;
        }
        // What it printed last is there before its end is known.
        if let Some(exit) = ended {
            return Ok(Executed::Ended(exit.cause));
        }
        tokio::select! {
            answer = program.hear() => match answer? {
                Answer::Ended(exit) => ended = Some(exit),
                other => return Err(program.odd(&other)),
            },
            () = sleep(PAUSE) => {}
        }
    }
}

/// Passes the next piece of a log on; whether there was any.
async fn pass_on(
    reader: &mut Controller,
    node: &Purpose,
    log: &str,
    offset: &mut u64,
    to: &mut impl Write,
) -> Result<bool, ControlError> {
    let piece = reader.read(&node.node, log, *offset).await?;
    *offset += piece.len() as u64;
    let written = to.write_all(&piece).and_then(|()| to.flush());
    written.map_err(|source| reader.failed(source))?;
    Ok(!piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_among_all_sockets() {
        let sockets = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 123 @depbench/six-20260101T120000Z\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 124 @depbench/six-20260101T120000Z\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 125 /run/depbench/no\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 126 @depbench/No Name\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 127\n";
        let found: Vec<String> = runs(sockets).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["six-20260101T120000Z"]);
    }
}
