//! Hosts of the project's own script, and controllers that reach them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(300);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/testhosts.sh");
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_depbench");

/// Some hosts, removed with this value.
pub(crate) struct Hosts {
    temp: TempDir,
    count: usize,
}

impl Hosts {
    /// Makes hosts `h1` to `h<count>`; `None`, with the reason printed, where that is not possible.
    pub(crate) fn up(count: usize) -> Option<Hosts> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: namespaces with an sshd each need root");
            return None;
        }
        for program in ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/nsenter"] {
            if !Path::new(program).exists() {
                println!("skipped: {program} is not installed");
                return None;
            }
        }
        // Short, because sockets lie below it.
        let temp = tempfile::Builder::new().prefix("dbh-").tempdir().unwrap();
        let hosts = Hosts { temp, count };
        hosts.script(&["up", &count.to_string()]);
        Some(hosts)
    }

    /// Cuts or joins the link of a host, or its power.
    pub(crate) fn link(&self, verb: &str, host: usize) {
        self.script(&[verb, &host.to_string()]);
    }

    /// Writes an experiment on these hosts, the last of which drives load; `rest` follows the cluster.
    pub(crate) fn experiment(&self, name: &str, rest: &str) -> PathBuf {
        let config = self.dir().join("ssh_config");
        let nodes: String = (1..=self.count)
            .map(|i| {
                let role = if i < self.count { "server" } else { "client" };
                format!("      - {{name: h{i}, roles: [{role}]}}\n")
            })
            .collect();
        let text = format!(
            "name: {name}\ncluster:\n  ssh:\n    config: {}\n    nodes:\n{nodes}{rest}",
            config.display()
        );
        self.file(&format!("{name}.yaml"), &text)
    }

    /// Writes a file beside the hosts.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.temp.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs depbench where the hosts can be reached.
    pub(crate) fn depbench(&self, arguments: &[&str]) -> Output {
        self.run(PROGRAM, arguments)
    }

    /// Runs a program where the hosts can be reached.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut child = self.command(program, arguments).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                let _ended_before = child.kill();
                panic!("{arguments:?} takes longer than {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        child.wait_with_output().unwrap()
    }

    /// Runs a line of shell on a host, as root; gives what it printed.
    pub(crate) fn on(&self, host: usize, line: &str) -> String {
        let config = self.dir().join("ssh_config");
        let host = format!("h{host}");
        let ran = self.run(
            "/usr/bin/ssh",
            &["-F", config.to_str().unwrap(), &host, line],
        );
        assert!(ran.status.success(), "{host}: {line}: {}", text(&ran));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// Starts depbench where the hosts can be reached; its output is small enough for its pipes.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(PROGRAM, arguments).spawn().unwrap()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(SCRIPT);
        command
            .arg("in")
            .arg(self.dir())
            .arg(program)
            .args(arguments)
            .current_dir(self.temp.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Has a host tell its next boot by another identity than this machine's.
    pub(crate) fn next_boot(&self, host: usize) {
        let fresh = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        fs::write(self.dir().join(format!("h{host}/boot_id")), fresh).unwrap();
    }

    /// Removes the empty control groups that a run of this name left on a host.
    pub(crate) fn remove_groups(&self, run: &str, host: usize) {
        let find = format!(
            "find /sys/fs/cgroup -depth -type d -path '*{run}-2*-h{host}*' -exec rmdir {{}} + 2>&1"
        );
        wait_until("the groups are empty", || {
            let done = self.run("/bin/sh", &["-c", &find]);
            done.status.success()
        });
    }

    /// Where a host keeps what survives its processes.
    pub(crate) fn state(&self, host: usize) -> PathBuf {
        self.dir().join(format!("h{host}/state"))
    }

    /// Entries of journals, and directories of nodes, on any host.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        let mut left = Vec::new();
        for host in 1..=self.count {
            for sub in ["journal", "nodes"] {
                let entries = fs::read_dir(self.state(host).join(sub));
                left.extend(entries.into_iter().flatten().flatten().map(|e| e.path()));
            }
        }
        left.retain(|path| !path.ends_with("gate"));
        left
    }

    /// Waits until no host has anything left.
    pub(crate) fn assert_clean(&self) {
        wait_until("the hosts are clean", || self.left().is_empty());
    }

    /// Waits until no ssh connection to the hosts is left on the controller's side.
    pub(crate) fn assert_no_masters(&self) {
        let config = format!(" -F {}", self.temp.path().display());
        wait_until("no ssh process is left", || {
            !processes().iter().any(|line| line.contains(&config))
        });
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.temp.path().join("hosts")
    }

    fn script(&self, arguments: &[&str]) {
        let (verb, rest) = arguments.split_first().unwrap();
        let status = Command::new(SCRIPT)
            .arg(verb)
            .arg(self.dir())
            .args(rest)
            .status()
            .unwrap();
        assert!(status.success(), "testhosts.sh {arguments:?}");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if self.dir().exists() {
            self.script(&["down"]);
        }
    }
}

/// The command lines of all processes.
pub(crate) fn processes() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

/// Waits with patience.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Both outputs, for messages.
pub(crate) fn text(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    text.concat()
}
