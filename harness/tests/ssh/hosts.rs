//! Hosts of the project's own script, and controllers that reach them.

use std::fmt::Debug;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(300);

/// The masters of a dead controller stay 20 s; and a busy machine takes longer.
const MASTERS_LINGER: Duration = Duration::from_secs(20 + 40);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/testhosts.sh");
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_depbench");

/// Arguments: a run's name and a host, or nothing and `*`.
const GROUPS_AND_DISKS: &str = r#"
run=$1 host=$2 PATH="$PATH:/usr/sbin:/sbin"
find /sys/fs/cgroup -maxdepth 2 -type d -name "*$run-2*-$host" 2>/dev/null
losetup --list --noheadings --output NAME,BACK-FILE | grep -- "$run-2[^/]*-$host[-/]"
true
"#;

/// Argument: a host's network.
const IN_NETWORK: &str = r#"
PATH="$PATH:/usr/sbin:/sbin"
nsenter --net="$1" tc qdisc show | grep -vE 'qdisc (noqueue|pfifo_fast|fq_codel) '
nsenter --net="$1" ip -o link | grep -o 'db-[^:@ ]*'
nsenter --net="$1" iptables-save | grep DEPBENCH
true
"#;

/// Some hosts, removed with this value.
pub(crate) struct Hosts {
    temp: TempDir,
    count: usize,
    /// Groups and disks that were there before: a test that was killed leaves some, by the names of the next one's.
    of_others: Vec<String>,
}

impl Hosts {
    /// Makes hosts `h1` to `h<count>` which have this program already, as after an earlier run; `None`, with the reason
    /// printed, where that is not possible.
    pub(crate) fn up(count: usize) -> Option<Hosts> {
        let hosts = Hosts::bare(count)?;
        for host in 1..=count {
            let cache = hosts.dir().join(format!("h{host}/root/.cache/depbench"));
            fs::create_dir_all(&cache).unwrap();
            let brought = cache.join(format!("depbench-{}", fingerprint()));
            if fs::hard_link(PROGRAM, &brought).is_err() {
                fs::copy(PROGRAM, &brought).unwrap();
            }
        }
        Some(hosts)
    }

    /// The same, but nothing has ever been brought to them.
    pub(crate) fn bare(count: usize) -> Option<Hosts> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: namespaces with an sshd each need root");
            return None;
        }
        for program in [
            "/usr/sbin/sshd",
            "/usr/bin/ssh",
            "/usr/bin/nsenter",
            "/usr/bin/script",
        ] {
            if !Path::new(program).exists() {
                println!("skipped: {program} is not installed");
                return None;
            }
        }
        // Short, because sockets lie below it.
        let temp = tempfile::Builder::new().prefix("dbh-").tempdir().unwrap();
        let hosts = Hosts {
            temp,
            count,
            of_others: lines(GROUPS_AND_DISKS, &["", "*"]),
        };
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

    /// Starts depbench at a terminal; what it shows is read as it comes.
    pub(crate) fn at_terminal(&self, arguments: &[&str]) -> (Child, Terminal) {
        let line = [&[PROGRAM], arguments].concat().join(" ");
        let mut child = self
            .command("/usr/bin/script", &["-qefc", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let terminal = Terminal::of(&mut child);
        (child, terminal)
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

    /// Starts a host again with clocks since boot that are so many seconds ahead of this machine's.
    pub(crate) fn boot_ahead(&self, host: usize, seconds: u64) {
        self.link("crash", host);
        let clock = self.dir().join(format!("h{host}/clock"));
        fs::write(clock, seconds.to_string()).unwrap();
        self.link("boot", host);
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

    /// What a run has on a host besides files and processes: control groups and loop disks, which are this machine's, and
    /// what is in the host's network, whosever that is.
    pub(crate) fn traces(&self, run: &str, host: usize) -> Vec<String> {
        let mut traces = lines(GROUPS_AND_DISKS, &[run, &format!("h{host}")]);
        traces.retain(|line| !self.of_others.contains(line));
        traces.extend(lines(IN_NETWORK, &[self.network(host).to_str().unwrap()]));
        traces
    }

    /// Waits until nothing of a run is on a host, and nothing runs there.
    pub(crate) fn assert_gone(&self, run: &str, host: usize) {
        wait_until_none(PATIENCE, &format!("{run} on h{host}"), || {
            let programs = self.programs(host).into_iter();
            let mut left = self.traces(run, host);
            left.extend(programs.map(|(pid, line)| format!("{pid} {line}")));
            left
        });
    }

    /// The processes in a host's network but for sshd: their numbers here, and their command lines.
    pub(crate) fn programs(&self, host: usize) -> Vec<(i32, String)> {
        let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
        let network = identity(&self.network(host)).unwrap();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter_map(|pid| {
            let of_process = Path::new("/proc").join(pid.to_string());
            let is_there = identity(&of_process.join("ns/net")).ok()? == network;
            let line = fs::read(of_process.join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let is_own = line.starts_with("sshd: ") || line.starts_with("unshare ");
            // One that is dead has none.
            (is_there && !is_own && !line.is_empty()).then_some((pid, line))
        })
        .collect()
    }

    fn network(&self, host: usize) -> PathBuf {
        let tag = fs::read_to_string(self.dir().join("tag")).unwrap();
        let tag = tag.split_whitespace().next().unwrap();
        format!("/run/netns/{tag}-h{host}").into()
    }

    /// Waits until no host has anything left.
    pub(crate) fn assert_clean(&self) {
        wait_until_none(PATIENCE, "journals or directories", || self.left());
    }

    /// The ssh programs, masters above all, that have connections to the hosts.
    pub(crate) fn masters(&self) -> Vec<String> {
        let config = format!(" -F {}", self.temp.path().display());
        let mut lines = processes();
        lines.retain(|line| line.contains(&config));
        lines
    }

    /// Waits until no ssh connection to the hosts is left on the controller's side.
    pub(crate) fn assert_no_masters(&self) {
        wait_until_none(MASTERS_LINGER, "ssh processes", || self.masters());
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

/// What a person at a terminal sees, and the keyboard.
pub(crate) struct Terminal {
    keyboard: ChildStdin,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    fn of(child: &mut Child) -> Terminal {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, shown) = (child.stdout.take().unwrap(), Arc::clone(&seen));
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                shown.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Terminal {
            keyboard: child.stdin.take().unwrap(),
            seen,
            reader,
        }
    }

    /// Every process of the terminal is interrupted, as by a person.
    pub(crate) fn press_ctrl_c(&mut self) {
        self.keyboard.write_all(b"\x03").unwrap();
        self.keyboard.flush().unwrap();
    }

    /// What has been shown so far.
    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// What was shown, once nobody can write to it any more.
    pub(crate) fn end(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if self.dir().exists() {
            self.script(&["down"]);
        }
    }
}

/// What tells this build from others.
fn fingerprint() -> &'static str {
    static OF_PROGRAM: OnceLock<String> = OnceLock::new();
    OF_PROGRAM.get_or_init(|| {
        let told = Command::new(PROGRAM).arg("fingerprint").output().unwrap();
        String::from_utf8(told.stdout).unwrap().trim().to_owned()
    })
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

fn wait_until_none<T: Debug>(patience: Duration, what: &str, mut left: impl FnMut() -> Vec<T>) {
    let deadline = Instant::now() + patience;
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "still there after {patience:?}: {what}: {left:#?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a script prints.
fn lines(script: &str, arguments: &[&str]) -> Vec<String> {
    let ran = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .args(arguments)
        .output()
        .unwrap();
    let said = text(&ran);
    assert!(ran.status.success(), "{said}");
    said.lines().map(str::to_owned).collect()
}

/// Both outputs, for messages.
pub(crate) fn text(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    text.concat()
}
