//! What a person meets who asks for what cannot be, or has less than everything.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::runs::{Lab, needs_program};
use common::{PROGRAM, needs_root};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Nobody.
const USER: u32 = 65534;

#[test]
fn files_and_directories_that_are_not_what_they_should_be() {
    let lab = Lab::new("paths");
    let file = lab.file("cluster: {local: {servers: 3}}\ntargets: [{depfast-raft: {}}]\n");
    let file = file.to_str().unwrap();
    let here = lab.path().join("empty");
    fs::create_dir(&here).unwrap();
    let here = here.to_str().unwrap();
    for (arguments, words) in [
        (
            &["run", "nosuch.yaml"][..],
            &["cannot read nosuch.yaml", "No such file"][..],
        ),
        (&["run", here], &["cannot read", "Is a directory"]),
        (
            &["run", file, "--out", here],
            &[here, "already exists", "--resume"],
        ),
        (
            &["run", "--resume", here],
            &[here, "holds no run", "experiment.yaml"],
        ),
        (
            &["run", "--resume", "nowhere"],
            &["nowhere", "holds no run"],
        ),
        (&["report", here], &[here, "holds no run"]),
        (&["run", file, "--resume", here], &["cannot be used with"]),
        (&["run"], &["required"]),
    ] {
        lab.depbench(arguments).end().expect(3).says(words);
    }
    lab.assert_clean();
    assert!(!lab.path().join("runs").exists() && !lab.state().exists());
}

/// An experiment with a program at `path` in the place of etcd.
fn instead_of_etcd(path: &str) -> String {
    format!(
        "cluster: {{local: {{servers: 3, clients: 1, disk: shared}}}}
targets: [{{etcd: {{path: {path}}}}}]
phases: {{warmup: 1s, baseline: 1s}}
"
    )
}

#[test]
fn a_program_that_is_not_there() {
    let lab = Lab::new("missing");
    let ended = lab.start(&instead_of_etcd("/nonexistent/etcd")).end();
    ended
        .expect(4)
        .says(&["etcd on s1", "`/nonexistent/etcd`", "package etcd-server"]);
    lab.assert_clean();
    assert!(!lab.out().exists());
}

#[test]
fn a_program_that_is_another_one() {
    let lab = Lab::new("other");
    let ended = lab.start(&instead_of_etcd("/bin/false")).end();
    ended
        .expect(2)
        .says(&["invalid: etcd on s1 ended by itself (exit code 1)"]);
    lab.assert_clean();
}

#[test]
fn a_fault_that_the_cluster_cannot_carry_out() {
    let lab = Lab::new("impossible");
    let file = lab.file(
        "cluster: {local: {servers: 3, clients: 1, mode: plain}}
targets: [{depfast-raft: {}}]
phases: {warmup: 1s, baseline: 1s, fault: 1s}
faults: [{name: late, type: {net.delay: {delay: 40ms}}, on: {node: s2}}]
",
    );
    let (file, out) = (file.to_str().unwrap(), lab.out());
    let reason = [
        "fault late (net.delay 40ms) on s2: not possible: the nodes share one loopback",
        "nearest: process.pause {for: …, period: …}",
    ];
    let run = ["run", file, "--out", out.to_str().unwrap()];
    lab.depbench(&run).end().expect(4).says(&reason);
    assert!(!out.exists(), "nothing was begun");
    let ended = lab.depbench(&["check", file]).end();
    ended.expect(4).says(&reason).says(&[
        "fault  ",
        "duty cycle (SIGSTOP/SIGCONT)",
        "to be the servers' user",
        "netem",
        "no: the nodes share one loopback",
        "taken",
    ]);
    lab.assert_clean();
}

#[test]
fn a_disk_that_is_full() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("full");
    // Full before the first trial, and in the middle of it.
    for (size, file) in [("4k", "environment.json"), ("256k", "trials")] {
        let disk = SmallDisk::mount(&lab.path().join(size), size);
        let out = disk.0.join("out");
        let file_of = lab.file(
            "cluster: {local: {servers: 3, clients: 1, disk: shared}}
targets: [{depfast-raft: {durability: memory}}]
workload: {keys: {uniform: {count: 1000}}, sample_keys: 1000}
phases: {warmup: 1s, baseline: 20s}
",
        );
        let run = lab.depbench(&[
            "run",
            file_of.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ]);
        let ended = run.end();
        assert_eq!(
            ended.err.matches("No space left on device").count(),
            1,
            "{ended}"
        );
        ended.expect(4).says(&[
            "cannot write",
            file,
            "No space left on device",
            "check free space",
        ]);
        lab.assert_clean();
    }
}

/// A file system in memory that holds next to nothing.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, size: &str) -> SmallDisk {
        fs::create_dir(path).unwrap();
        let options = format!("size={size}");
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .unwrap();
        SmallDisk(path.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn without_root_the_quickstart_runs_and_says_what_it_lacks() {
    if !needs_root() || !needs_program("setpriv") {
        return;
    }
    let lab = Lab::new("user");
    let program = lab.path().join("depbench");
    // By another process: what a test beside this one starts would hold a file open for a while that is written here.
    let copied = Command::new("cp").arg(PROGRAM).arg(&program).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    chown(lab.path(), Some(USER), Some(USER)).unwrap();
    let file = lab.file(
        "cluster: {local: {servers: 3, clients: 1}}
targets: [{depfast-raft: {}}]
workload: {clients: 16, connections: 4}
phases: {warmup: 1s, baseline: 3s, fault: 4s, recovery: 3s}
faults:
  - name: slow-follower
    type: {cpu.quota: {share: 5%}}
    on: {role: follower}
",
    );
    // Whoever gave up some priority cannot have it back.
    let mut command = Command::new("nice");
    command.args([
        "setpriv",
        &format!("--reuid={USER}"),
        &format!("--regid={USER}"),
        "--clear-groups",
    ]);
    command
        .arg(&program)
        .arg("run")
        .arg(&file)
        .arg("--out")
        .arg(lab.out());
    command.env("HOME", lab.path());
    let ended = lab.spawn(command).end();
    lab.assert_clean();
    lab.assert_sound(&ended, 1);
    ended.says(&["note: no CPU budgets", "note: no disks of their own"]);
    let provider = lab.results().environment().provider.clone();
    println!("{provider}");
    assert!(
        provider.contains("unprivileged") || provider.contains("plain"),
        "{provider}"
    );
    let report = fs::read_to_string(lab.out().join("report.html")).unwrap();
    assert!(report.contains("no CPU budgets") && report.contains("no disks of their own"));
}
