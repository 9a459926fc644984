use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{RunningError, RunningNode};

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
pub fn show_logs(
    nodes: &[RunningNode],
    follow: Follow,
    out: &mut impl Write,
) -> Result<(), RunningError> {
    let mut tails: BTreeMap<PathBuf, Tail> = BTreeMap::new();
    loop {
        for node in nodes {
            for path in log_files(node)? {
                let tail = tails.entry(path).or_default();
                tail.name = node.purpose.node.to_string();
            }
        }
        for (path, tail) in &mut tails {
            tail.show(path, out)?;
        }
        out.flush().map_err(RunningError::Output)?;
        if follow == Follow::No || !nodes.iter().any(|node| node.agent.is_alive()) {
            for (path, tail) in &mut tails {
                tail.finish(path, out)?;
            }
            return out.flush().map_err(RunningError::Output);
        }
        std::thread::sleep(PAUSE);
    }
}

fn log_files(node: &RunningNode) -> Result<Vec<PathBuf>, RunningError> {
    let dir = node.logs();
    let entries = match fs::read_dir(&dir) {
        // It went down meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| RunningError::Read { path: dir, source })?,
    };
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// How far a log was shown.
#[derive(Default)]
struct Tail {
    name: String,
    offset: u64,
    begun: Vec<u8>,
}

impl Tail {
    fn show(&mut self, path: &Path, out: &mut impl Write) -> Result<(), RunningError> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(self.offset))?;
            let mut added = Vec::new();
            file.read_to_end(&mut added)?;
            Ok(added)
        };
        let added = match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            added => added.map_err(|source| RunningError::Read {
                path: path.to_owned(),
                source,
            })?,
        };
        self.offset += added.len() as u64;
        for part in added.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.line(path, out)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, path: &Path, out: &mut impl Write) -> Result<(), RunningError> {
        if self.begun.is_empty() {
            return Ok(());
        }
        self.begun.push(b'\n');
        self.line(path, out)
    }

    fn line(&mut self, path: &Path, out: &mut impl Write) -> Result<(), RunningError> {
        let line = std::mem::take(&mut self.begun);
        let log = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!("{}/{log}: ", self.name);
        out.write_all(prefix.as_bytes())
            .and_then(|()| out.write_all(&line))
            .map_err(RunningError::Output)
    }
}
