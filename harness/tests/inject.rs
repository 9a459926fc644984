//! Faults on demand: `depbench inject` and `depbench soak`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::leftovers::{self, Leftovers, Scope};
use common::needs_root;
use common::runs::Lab;
use nix::sys::signal::Signal;

/// A busy machine may be late.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of somebody else, always busy.
struct Stranger(Child);

impl Stranger {
    fn start() -> Stranger {
        let busy = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn();
        Stranger(busy.unwrap())
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// Its groups, and whether it is stopped.
    fn condition(&self) -> (String, bool) {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", self.pid())).unwrap();
        let stopped = read("status").contains("State:\tT");
        (read("cgroup"), stopped)
    }

    fn until(&self, wanted: &(String, bool)) {
        let begun = Instant::now();
        while self.condition() != *wanted {
            assert!(
                begun.elapsed() < PATIENCE,
                "{:?}, not {wanted:?}",
                self.condition()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn any_process_is_made_slow_and_given_back() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("inject");
    let stranger = Stranger::start();
    let pid = stranger.pid();
    let before = stranger.condition();

    // Its time is over.
    let arguments = [
        "inject",
        "--pid",
        &pid,
        "--fault",
        "cpu.quota=10%",
        "--for",
        "1s",
    ];
    let ended = lab.depbench(&arguments).end();
    ended.expect(0).says(&[
        "injected, for 1s",
        "server limited",
        "the fault bit",
        "cleared",
    ]);
    assert_eq!(stranger.condition(), before);

    // Ctrl-C.
    let forever = ["inject", "--pid", &pid, "--fault", "process.pause"];
    let inject = lab.depbench(&forever);
    let stopped = |stranger: &Stranger| stranger.condition().1;
    let begun = Instant::now();
    while !stopped(&stranger) {
        assert!(begun.elapsed() < PATIENCE, "never stopped");
        std::thread::sleep(Duration::from_millis(20));
    }
    inject.signal(Signal::SIGINT);
    inject.end().expect(0).says(&["cleared"]);
    assert_eq!(stranger.condition(), before);

    // Killed.
    let inject = lab.depbench(&forever);
    let begun = Instant::now();
    while !stopped(&stranger) {
        assert!(begun.elapsed() < PATIENCE, "never stopped");
        std::thread::sleep(Duration::from_millis(20));
    }
    inject.signal(Signal::SIGKILL);
    inject.end().expect_killed();
    stranger.until(&before);
}

#[test]
fn what_cannot_be_injected_is_said_and_changes_nothing() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("inject-wrong");
    let stranger = Stranger::start();
    let pid = stranger.pid();
    let before = stranger.condition();
    for (arguments, code, says) in [
        (
            vec!["--pid", &pid, "--fault", "cpu.qouta=5%"],
            3,
            "did you mean `cpu.quota`",
        ),
        (
            vec!["--pid", &pid, "--fault", "cpu.quota=5"],
            3,
            "such as 5%",
        ),
        (
            vec!["--pid", &pid, "--preset", "atc22-slow"],
            3,
            "expected one of",
        ),
        (
            vec!["--pid", &pid, "--fault", "process.pause", "--for", "1ms"],
            3,
            "at least 1s",
        ),
        (
            vec!["--pid", "1", "--fault", "process.pause"],
            3,
            "1 is not in 2..",
        ),
        (
            vec!["--pid", "999999999", "--fault", "process.pause"],
            4,
            "there is no process",
        ),
        (
            vec!["--pid", &pid, "--fault", "net.delay=40ms"],
            4,
            "not possible: it shares the links it sends over with the rest of its network; nearest: process.pause",
        ),
        (
            vec!["--node", "s9", "--fault", "process.pause"],
            4,
            "no node `s9` is up",
        ),
        (vec!["--fault", "process.pause"], 3, "required"),
    ] {
        let arguments = [vec!["inject"], arguments].concat();
        lab.depbench(&arguments).end().expect(code).says(&[says]);
        assert_eq!(stranger.condition(), before, "{arguments:?}");
    }
}

#[test]
fn a_node_of_a_kept_cluster_is_made_slow() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("inject-node");
    let file = lab.file(
        "cluster: {local: {servers: 3, clients: 1, budget: none, disk: {own: 64MiB}}}
targets: [{depfast-raft: {}}]
workload: {clients: 4, connections: 2}
phases: {warmup: 1s, baseline: 1s}
",
    );
    let out = lab.out();
    let mut run = lab.depbench(&[
        "run",
        "--keep",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    run.until("stays up until Ctrl-C", 1);
    let arguments = [
        "inject",
        "--node",
        "s2",
        "--fault",
        "process.pause",
        "--for",
        "2s",
    ];
    let ended = lab.depbench(&arguments).end();
    ended
        .expect(0)
        .says(&["processes stopped", "the fault bit", "cleared"]);
    let wrong = [
        "inject",
        "--node",
        "s2",
        "--to",
        "s1",
        "--fault",
        "cpu.quota=5%",
    ];
    lab.depbench(&wrong).end().expect(3).says(&["not a link"]);
    // Whoever asked is gone, and so is the fault.
    let mut inject = lab.depbench(&["inject", "--node", "s1", "--fault", "process.pause"]);
    let begun = Instant::now();
    while !inject.has_ended() && begun.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(50));
    }
    inject.signal(Signal::SIGKILL);
    inject.end().expect_killed();
    run.signal(Signal::SIGINT);
    lab.assert_sound(&run.end(), 1);
    lab.assert_clean();
}

#[test]
fn a_short_soak_leaves_nothing() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("soak");
    let ended = lab
        .depbench(&["soak", "--rounds", "10", "--seed", "2"])
        .end();
    ended
        .expect(0)
        .says(&["round  10", "agents", "guardians", "depbench heal"]);
}

#[test]
fn a_soak_that_is_killed_takes_everything_along() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("soak-killed");
    let mut soak = lab.depbench(&["soak", "--rounds", "1000", "--seed", "3"]);
    soak.until("round ", 2);
    soak.signal(Signal::SIGKILL);
    soak.end().expect_killed();

    // Whoever a soak starts inherits this.
    let mark = format!("DEPBENCH_STATE_DIR={}", lab.state().display());
    let begun = Instant::now();
    while let Some(process) = process_with(&mark) {
        assert!(begun.elapsed() < PATIENCE, "still there: {process}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let home = soak_homes(&lab).pop().unwrap();
    lab.depbench(&["heal"]).end().expect(0);
    assert!(soak_homes(&lab).is_empty());
    let run = home.file_name().unwrap().to_str().unwrap().parse().unwrap();
    let left = leftovers::find(&Scope::Run {
        run: &run,
        state: &home,
    });
    assert_eq!(left, Leftovers::new());
}

fn process_with(variable: &str) -> Option<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut found = processes.filter_map(|process| {
        let environ = fs::read(process.path().join("environ")).ok()?;
        let mut variables = environ.split(|byte| *byte == 0);
        variables.find(|one| *one == variable.as_bytes())?;
        fs::read_to_string(process.path().join("cmdline")).ok()
    });
    found.next()
}

fn soak_homes(lab: &Lab) -> Vec<PathBuf> {
    let entries = fs::read_dir(lab.state()).unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("soak-"))
        .map(|entry| entry.path())
        .collect()
}

#[test]
fn what_was_asked_is_held_against_what_the_node_got() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("fidelity");
    let csv = lab.path().join("fidelity.csv");
    let arguments = ["bench", "faults", "--hold", "1s", "--type", "process.pause"];
    let more = ["--type", "net.partition", "--csv", csv.to_str().unwrap()];
    let ended = lab.depbench(&[&arguments[..], &more].concat()).end();
    ended.expect(0).says(&["0 not measured"]);
    let lines = fs::read_to_string(&csv).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].starts_with("fault,beside,quantity,unit,asked,got,"));
    // A cut is whole however busy the machine is.
    let cut = lines.iter().find(|line| line.starts_with("net.partition"));
    assert!(cut.unwrap().contains(",100.000,"), "{lines:?}");
    assert_eq!(lines.len(), 5, "{lines:?}");
    let wrong = ["bench", "faults", "--type", "net.partitoin"];
    let ended = lab.depbench(&wrong).end();
    ended.expect(3).says(&["did you mean `net.partition`"]);
}
