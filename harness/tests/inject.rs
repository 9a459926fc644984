//! Faults on demand: `depbench inject` and `depbench soak`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use common::leftovers::{self, Leftovers, Scope};
use common::needs_root;
use common::runs::Lab;
use common::stranger::Stranger;
use nix::sys::signal::Signal;
use node::journal::{Journal, Purpose, Undo};

/// A busy machine may be late.
const PATIENCE: Duration = Duration::from_secs(60);

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
        "cpu.quota=2%",
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
    stranger.until_stopped();
    inject.signal(Signal::SIGINT);
    inject.end().expect(0).says(&["cleared"]);
    assert_eq!(stranger.condition(), before);

    // Killed.
    let inject = lab.depbench(&forever);
    stranger.until_stopped();
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
            vec!["--pid", &pid, "--fault", "cpu.quota=0%"],
            3,
            "above 0%",
        ),
        (
            vec!["--pid", &pid, "--fault", "memory.limit=50ms"],
            3,
            "such as 16B, 50MB or 64KiB",
        ),
        (
            vec!["--pid", &pid, "--fault", "disk.throughput=1KB/s"],
            3,
            "4KiB/s to 100GB/s",
        ),
        (
            vec!["--pid", &pid, "--fault", "process.pause", "--for", "10"],
            3,
            "such as",
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
    let mut earlier = Command::new(env::current_exe().unwrap());
    earlier.args(["--exact", "leave_a_directory_behind", "--ignored"]);
    lab.spawn(earlier).end().expect(0);
    let left = left_behind(&lab.state());
    assert!(left.exists());
    let ended = lab
        .depbench(&["soak", "--rounds", "10", "--seed", "2"])
        .end();
    ended
        .expect(0)
        .says(&["round  10", "agents", "guardians", "depbench heal"])
        .says(&["an earlier run had left something: healed: earlier/s1: remove directory"]);
    assert!(!left.exists());
}

fn left_behind(state: &Path) -> PathBuf {
    state.join("nodes/depbench-earlier-s1")
}

#[test]
#[ignore = "a process of its own: does what a run does that is killed altogether"]
fn leave_a_directory_behind() {
    let state = PathBuf::from(env::var_os("DEPBENCH_STATE_DIR").unwrap());
    let path = left_behind(&state);
    fs::create_dir_all(&path).unwrap();
    let purpose = Purpose {
        run: "earlier".parse().unwrap(),
        node: "s1".parse().unwrap(),
    };
    let journal = Journal::open(&state.join("journal"), &purpose).unwrap();
    let _stays = journal.record(Undo::RemoveDir { path }).unwrap();
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
