use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use node::journal::Purpose;
use tokio::time::sleep;

use super::{RunningError, RunningNode, Up};
use crate::agent::wire::MAX_PAYLOAD;
use crate::control::ControlError;
use crate::control::client::Controller;

/// Whether to go on showing what is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// What there is.
    No,
    /// Until the nodes go down.
    Yes,
}

/// How often to look for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Shows the logs of nodes, each line after the node and the log it is from.
///
/// # Errors
/// When a log cannot be read, or `out` not be written.
pub async fn show_logs(
    nodes: &[Up],
    follow: Follow,
    out: &mut impl Write,
) -> Result<(), RunningError> {
    let mut shelves = Vec::new();
    for node in nodes {
        let name = node.purpose().node.to_string();
        shelves.push((name, Shelf::of(node)?, BTreeMap::<String, Tail>::new()));
    }
    loop {
        let mut alive = false;
        for (node, shelf, tails) in &mut shelves {
            let logs = shelf.logs().await?;
            alive |= logs.is_some();
            for log in logs.into_iter().flatten() {
                tails.entry(log).or_default();
            }
            for (log, tail) in tails {
                while let Some(added) = shelf.read(log, tail.offset).await? {
                    tail.show(&format!("{node}/{log}"), &added, out)?;
                }
            }
        }
        out.flush().map_err(RunningError::Output)?;
        if follow == Follow::No || !alive {
            for (node, _, tails) in shelves {
                for (log, mut tail) in tails {
                    tail.finish(&format!("{node}/{log}"), out)?;
                }
            }
            return out.flush().map_err(RunningError::Output);
        }
        sleep(PAUSE).await;
    }
}

/// Where the logs of a node can be read.
enum Shelf {
    Here(RunningNode),
    There(Purpose, Option<Controller>),
}

impl Shelf {
    fn of(node: &Up) -> Result<Shelf, RunningError> {
        Ok(match node {
            Up::Here(node) => Shelf::Here(node.clone()),
            Up::There(purpose) => {
                Shelf::There(purpose.clone(), Some(Controller::of(&purpose.run)?))
            }
        })
    }

    /// The names of the logs; `None` once the node is down.
    async fn logs(&mut self) -> Result<Option<Vec<String>>, RunningError> {
        match self {
            Shelf::Here(node) => {
                let names = names(&node.logs())?;
                // One that went down meanwhile has printed its last.
                Ok(names.filter(|_| node.agent.is_alive()))
            }
            Shelf::There(purpose, controller) => {
                let Some(asked) = controller else {
                    return Ok(None);
                };
                let logs = asked.logs(&purpose.node).await;
                until_its_end(logs, controller)
            }
        }
    }

    /// What a log has from `offset` on, a piece of it; `None` at its end.
    async fn read(&mut self, log: &str, offset: u64) -> Result<Option<Vec<u8>>, RunningError> {
        let piece = match self {
            Shelf::Here(node) => {
                let path = node.logs().join(log);
                let piece = piece(&path, offset);
                piece.map_err(|source| RunningError::Read { path, source })?
            }
            Shelf::There(purpose, controller) => {
                let Some(asked) = controller else {
                    return Ok(None);
                };
                let piece = asked.read(&purpose.node, log, offset).await;
                until_its_end(piece, controller)?.unwrap_or_default()
            }
        };
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// What a controller answered; `None` once it has ended, and nobody needs to ask it again.
fn until_its_end<T>(
    answer: Result<T, ControlError>,
    controller: &mut Option<Controller>,
) -> Result<Option<T>, RunningError> {
    match answer {
        Err(error) if error.is_its_end() => {
            *controller = None;
            Ok(None)
        }
        answer => Ok(Some(answer?)),
    }
}

/// What is in a directory, if it is there.
fn names(dir: &Path) -> Result<Option<Vec<String>>, RunningError> {
    let entries = match fs::read_dir(dir) {
        // It went down meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(|source| RunningError::Read {
            path: dir.to_owned(),
            source,
        })?,
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(Some(names.collect()))
}

fn piece(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut piece = Vec::new();
    file.take(MAX_PAYLOAD as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

/// How far a log was shown.
#[derive(Default)]
struct Tail {
    offset: u64,
    begun: Vec<u8>,
}

impl Tail {
    fn show(&mut self, name: &str, added: &[u8], out: &mut impl Write) -> Result<(), RunningError> {
        self.offset += added.len() as u64;
        for part in added.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.line(name, out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, name: &str, out: &mut impl Write) -> Result<(), RunningError> {
        if self.begun.is_empty() {
            return Ok(());
        }
        self.begun.push(b'\n');
        self.line(name, out)
    }

    fn line(&mut self, name: &str, out: &mut impl Write) -> Result<(), RunningError> {
        let line = std::mem::take(&mut self.begun);
        out.write_all(format!("{name}: ").as_bytes())
            .and_then(|()| out.write_all(&line))
            .map_err(RunningError::Output)
    }
}
