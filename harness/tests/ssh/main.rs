//! Experiments on machines that are reached over SSH: namespaces with an sshd each. Needs root, sshd and ssh; skipped
//! with a reason otherwise.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock_records;
mod clocks;
mod every_fault;
mod heal;
mod hostile;
mod hosts;
mod keys;
mod lacking;
mod lost;
mod named;
mod reach;
mod rights;
mod roles;
mod stalls;
mod upload;
mod verbs;
mod ways;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use hosts::{Hosts, text, wait_until};
use results::RunDir;

const REST: &str = "targets: [{depfast-raft: {}}, {etcd: {}}]
workload: {clients: 8, connections: 4}
phases: {warmup: 1s, baseline: 2s, fault: 3s, recovery: 1s}
faults:
  - name: slow
    type: {process.pause: {for: 300ms, period: 1s}}
    on: {role: follower}
trials: 1
";

/// Without a fault: one server is enough.
const QUIET: &str = "targets: [{depfast-raft: {}}]\nphases: {warmup: 1s, baseline: 2s}\n";

/// One target, and time enough to do something to it while the fault is in.
fn long(trials: u32, fault: &str) -> String {
    REST.replace(", {etcd: {}}", "")
        .replace("fault: 3s", &format!("fault: {fault}"))
        .replace("trials: 1", &format!("trials: {trials}"))
}

/// Reasons for which a trial on a busy machine may be invalid although everything works.
const HONEST: [&str; 3] = ["had no effect", "was not as asked", "left something behind"];

#[test]
fn a_whole_experiment() {
    let Some(hosts) = Hosts::bare(4) else { return };
    let rest = if std::path::Path::new("/usr/bin/etcd").exists() {
        REST.to_owned()
    } else {
        println!("without etcd, which is not installed");
        REST.replace(", {etcd: {}}", "")
    };
    let file = hosts.experiment("over-ssh", &rest);
    let ended = hosts.depbench(&["run", file.to_str().unwrap(), "--out", "out"]);
    assert!(
        matches!(ended.status.code(), Some(0 | 2)),
        "{}",
        text(&ended)
    );
    let run = RunDir::open(&file.with_file_name("out")).unwrap();
    let trials = run.trials().unwrap();
    assert_eq!(
        trials.len(),
        rest.matches(": {}}").count().min(2),
        "{}",
        text(&ended)
    );
    for trial in &trials {
        let intervals = trial.intervals().unwrap();
        assert!(intervals.iter().map(|interval| interval.ok).sum::<u64>() > 0);
    }
    for reason in reasons(run.path()) {
        assert_carried_out(reason.as_ref());
    }

    // Every machine is described, and how exact its clock is.
    let environment = run.environment();
    for host in ["h1", "h2", "h3", "h4"] {
        let machine = environment
            .machines
            .iter()
            .find(|machine| machine.host == host);
        let machine = machine.unwrap_or_else(|| panic!("{host}: {:?}", environment.machines));
        assert!(
            machine.kernel.starts_with("Linux ") && machine.memory_bytes > 0 && machine.cpus > 0
        );
        // They share this machine's groups.
        assert_eq!(machine.cgroups, environment.machines[0].cgroups);
        let node = environment
            .nodes
            .iter()
            .find(|node| node.node.as_str() == host)
            .unwrap();
        assert_eq!(node.host, host);
        let clock = node.clock.unwrap();
        // They share one clock: the truth is zero, and the error must cover what was measured.
        assert!(
            clock.offset_ns.unsigned_abs() <= clock.error_ns,
            "{clock:?}"
        );
    }
    hosts.assert_clean();

    // The program is there now: nothing is uploaded again.
    let cache = hosts.dir().join("h1/root/.cache/depbench");
    let before = listing(&cache);
    assert_eq!(before.len(), 1, "{before:?}");
    let checked = hosts.depbench(&["check", file.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked));
    assert!(
        text(&checked).contains("machines over SSH"),
        "{}",
        text(&checked)
    );
    assert_eq!(listing(&cache), before);
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn the_controller_is_killed_in_the_middle_of_a_fault() {
    let Some(hosts) = Hosts::up(4) else { return };
    let mut run = Run::start(&hosts, "killed", &long(1, "60s"));
    run.until_faulty(1);
    assert!(!hosts.left().is_empty());
    let masters = hosts.masters();
    for host in ["h1", "h2", "h3", "h4"] {
        let of_it = |line: &String| line.contains(&format!(" {host} "));
        assert!(masters.iter().any(of_it), "{host}: {masters:?}");
    }
    // The script has become nsenter, and that depbench.
    run.controller.kill().unwrap();
    run.controller.wait().unwrap();
    hosts.assert_clean();
    hosts.assert_no_masters();
}

#[test]
fn the_controller_is_interrupted_in_the_middle_of_a_fault() {
    let Some(hosts) = Hosts::up(4) else { return };
    let file = hosts.experiment("interrupted", &long(1, "60s"));
    let (controller, mut terminal) =
        hosts.at_terminal(&["run", file.to_str().unwrap(), "--out", "out"]);
    let out = file.with_file_name("out");
    let mut run = Run { controller, out };
    run.until_faulty(1);
    terminal.press_ctrl_c();
    let (code, _) = run.end();
    let said = terminal.end();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("everything was undone"), "{said}");
    // Not only soon, by leases: it has seen to it itself.
    assert_eq!(hosts.left(), Vec::<PathBuf>::new(), "{said}");
    hosts.assert_no_masters();
}

/// A controller at work.
struct Run {
    controller: Child,
    out: PathBuf,
}

impl Run {
    fn start(hosts: &Hosts, name: &str, rest: &str) -> Run {
        Run::begin(hosts, &hosts.experiment(name, rest))
    }

    fn begin(hosts: &Hosts, file: &Path) -> Run {
        // Several may be at work at once.
        let out = file.with_extension("out");
        let arguments = [
            "run",
            file.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        Run {
            controller: hosts.start(&arguments),
            out,
        }
    }

    /// Waits until the fault of a trial is in force; gives the number of the host that it is on.
    fn until_faulty(&mut self, trial: u32) -> usize {
        let events = self
            .out
            .join(format!("trials/depfast-raft/{trial}/events.csv"));
        let mut host = None;
        wait_until("the fault is in force", || {
            assert!(
                self.controller.try_wait().unwrap().is_none(),
                "it ended early"
            );
            let text = fs::read_to_string(&events).unwrap_or_default();
            let line = text.lines().find(|line| line.contains("fault-effective"));
            host = line.and_then(|line| {
                let mut fields = line.split(',');
                fields.find_map(|field| field.strip_prefix('h')?.parse().ok())
            });
            host.is_some()
        });
        host.unwrap()
    }

    /// Waits for the controller; gives its code and what it said.
    fn end(self) -> (Option<i32>, String) {
        let ended = self.controller.wait_with_output().unwrap();
        (ended.status.code(), text(&ended))
    }
}

/// Why each trial is invalid, if it is.
fn reasons(out: &Path) -> Vec<Option<String>> {
    let trials = RunDir::open(out).unwrap().trials().unwrap();
    let validity = |trial: &results::TrialDir| trial.record().validity().clone();
    let reasons = trials.iter().map(validity);
    reasons
        .map(|validity| validity.reason().map(str::to_owned))
        .collect()
}

/// The trial was carried out, and nothing is wrong with it but what a busy machine is to blame for.
fn assert_carried_out(reason: Option<&String>) {
    if let Some(reason) = reason {
        let honest = HONEST.iter().any(|honest| reason.contains(honest));
        assert!(honest, "{reason}");
    }
}

fn listing(dir: &std::path::Path) -> Vec<(std::ffi::OsString, std::time::SystemTime)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            (
                entry.file_name(),
                entry.metadata().unwrap().modified().unwrap(),
            )
        })
        .collect()
}
