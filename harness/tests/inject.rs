//! Faults on demand: `depbench inject` and `depbench soak`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
            "not possible",
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
