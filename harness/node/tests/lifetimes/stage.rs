//! A place for one test: a journal, tagged directories to make and undo, and processes in roles.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use node::identity::ProcessId;
use node::journal::{Journal, Purpose};

pub(crate) struct Stage {
    dir: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let dir = tempfile::Builder::new()
            .prefix("depbench-test-")
            .tempdir()
            .unwrap();
        Stage { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.dir().join("state/journal")
    }

    /// A directory whose removal an entry may ask for.
    pub(crate) fn tagged(&self, name: &str) -> PathBuf {
        self.dir().join(format!("depbench-{name}"))
    }

    pub(crate) fn open(&self) -> Journal {
        Journal::open(&self.journal(), &purpose(self.dir())).unwrap()
    }

    /// Owners that have a directory in the journal.
    pub(crate) fn owners(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.journal()).unwrap();
        let dirs = entries.map(|entry| entry.unwrap().path());
        dirs.filter(|path| path.is_dir()).collect()
    }

    pub(crate) fn command(&self, role: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .env("DEPBENCH_TEST_ROLE", role)
            .env("DEPBENCH_TEST_DIR", self.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A purpose that no other stage has.
pub(crate) fn purpose(dir: &Path) -> Purpose {
    let name = dir.file_name().unwrap().to_str().unwrap();
    Purpose {
        run: name.trim_start_matches("depbench-").parse().unwrap(),
        node: "s1".parse().unwrap(),
    }
}

/// Reads lines from a role until it says `ready`; what it said before, by word.
pub(crate) fn ready(child: &mut Child) -> Vec<String> {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut said = Vec::new();
    loop {
        let Some(line) = lines.next() else {
            let mut errors = String::new();
            std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut errors).unwrap();
            panic!("the role ended before it was ready: {errors}");
        };
        match line.unwrap() {
            line if line == "ready" => return said,
            line => said.push(line),
        }
    }
}

/// Waits until `done`, at most ten seconds.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done() {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The children of a process, by `/proc`.
pub(crate) fn children(pid: u32) -> Vec<ProcessId> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace()
        .filter_map(|word| ProcessId::of(word.parse().unwrap()).unwrap())
        .collect()
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
