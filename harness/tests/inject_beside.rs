//! Faults on demand where others have things of their own, or take depbench's away.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::runs::{Lab, needs_program};
use common::stranger::Stranger;
use common::{PROGRAM, needs_root};
use nix::sys::signal::Signal;

/// A busy machine may be late.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nobody's number as a user.
const NOBODY: u32 = 65534;

/// A group that somebody has made, with a quota.
struct Group {
    dir: PathBuf,
    quota: &'static str,
}

impl Group {
    /// `None` where nobody can have one.
    fn make(name: &str) -> Option<Group> {
        let name = format!("{name}-{}", std::process::id());
        let group = |root: &str, quota| Group {
            dir: Path::new(root).join(&name),
            quota,
        };
        let (group, value) = match Path::new("/sys/fs/cgroup/cpu").exists() {
            true => (group("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"), "80000"),
            false => (group("/sys/fs/cgroup", "cpu.max"), "80000 100000"),
        };
        let made =
            fs::create_dir(&group.dir).and_then(|()| fs::write(group.dir.join(group.quota), value));
        made.inspect_err(|error| println!("skipped: no group with a quota: {error}"))
            .is_ok()
            .then_some(group)
    }

    fn admit(&self, pid: &str) {
        fs::write(self.dir.join("cgroup.procs"), pid).unwrap();
    }

    /// Its quota and who is in it.
    fn state(&self) -> [String; 2] {
        [self.quota, "cgroup.procs"].map(|file| fs::read_to_string(self.dir.join(file)).unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever was in it has just been killed.
        for _ in 0..100 {
            if fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_users_own_group_is_as_it_was() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("inject-group");
    let Some(group) = Group::make("somebody") else {
        return;
    };
    let stranger = Stranger::start();
    group.admit(&stranger.pid());
    let (state, before) = (group.state(), stranger.condition());
    let arguments = [
        "inject",
        "--pid",
        &stranger.pid(),
        "--fault",
        "cpu.quota=2%",
    ];
    let ended = lab
        .depbench(&[&arguments[..], &["--for", "2s"]].concat())
        .end();
    ended.expect(0).says(&["the fault bit", "cleared"]);
    assert_eq!((group.state(), stranger.condition()), (state, before));
}

#[test]
fn two_at_once_have_their_own_and_one_process_is_taken_once() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("inject-two");
    let neighbour = lab.neighbour("inject-other");
    let strangers = [Stranger::start(), Stranger::start()];
    let before = strangers.each_ref().map(Stranger::condition);
    let start = |lab: &Lab, stranger: &Stranger| {
        lab.depbench(&[
            "inject",
            "--pid",
            &stranger.pid(),
            "--fault",
            "process.pause",
        ])
    };
    let first = start(&lab, &strangers[0]);
    strangers[0].until_stopped();
    let second = start(&neighbour, &strangers[1]);
    strangers[1].until_stopped();
    let third = start(&neighbour, &strangers[0]).end();
    third.expect(4).says(&["a run of depbench has it already"]);
    assert!(strangers[0].condition().1, "it is the first one's still");
    first.signal(Signal::SIGINT);
    first.end().expect(0).says(&["cleared"]);
    assert_eq!(strangers[0].condition(), before[0]);
    assert!(strangers[1].condition().1, "it is the second one's still");
    second.signal(Signal::SIGINT);
    second.end().expect(0).says(&["cleared"]);
    assert_eq!(strangers[1].condition(), before[1]);
}

#[test]
fn a_process_that_ends_during_the_fault_is_told_and_leaves_nothing() {
    if !needs_root() {
        return;
    }
    let lab = Lab::new("inject-ends");
    let stranger = Stranger::start();
    let pid = stranger.pid();
    let mut inject = lab.depbench(&["inject", "--pid", &pid, "--fault", "process.pause"]);
    stranger.until_stopped();
    drop(stranger);
    inject.until_printed("the fault stopped the server", 1);
    inject.signal(Signal::SIGINT);
    inject.end().says(&["cleared"]);
    lab.depbench(&["heal"])
        .end()
        .expect(0)
        .says(&["nothing to heal"]);
}

#[test]
fn groups_removed_underneath_leave_nothing_half_done() {
    if !needs_root() {
        return;
    }
    let root = match Path::new("/sys/fs/cgroup/cpu").exists() {
        true => Path::new("/sys/fs/cgroup/cpu"),
        false => Path::new("/sys/fs/cgroup"),
    };
    let lab = Lab::new("inject-removed");
    let stranger = Stranger::start();
    let pid = stranger.pid();
    let before = stranger.condition();
    let inject = lab.depbench(&["inject", "--pid", &pid, "--fault", "cpu.quota=2%"]);
    let ours = format!("pid-{pid}");
    let group = |groups: &str| {
        let line = groups.lines().find(|line| line.contains(&ours))?;
        let path = line.rsplit_once(':')?.1.trim_start_matches('/').to_owned();
        Some(root.join(path))
    };
    let begun = Instant::now();
    let group = loop {
        let found = group(&stranger.condition().0).filter(|group| is_limited(group));
        if let Some(group) = found {
            break group;
        }
        assert!(begun.elapsed() < PATIENCE, "never limited");
        std::thread::sleep(Duration::from_millis(20));
    };
    // Somebody tidies up: the process goes back to the root group, and its group away.
    fs::write(root.join("cgroup.procs"), &pid).unwrap();
    fs::remove_dir(&group).unwrap();
    inject.signal(Signal::SIGINT);
    let ended = inject.end();
    println!("{ended}");
    assert_eq!(stranger.condition(), before);
    lab.depbench(&["heal"]).end().expect(0);
    assert!(!group.parent().unwrap().exists(), "{}", group.display());
}

#[test]
fn without_privilege_nothing_is_touched_and_the_reason_is_said() {
    if !needs_root() || !needs_program("setpriv") {
        return;
    }
    let lab = Lab::new("inject-nobody");
    // The program where nobody can reach it, and a state directory of nobody's.
    let program = lab.path().join("depbench");
    fs::copy(PROGRAM, &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    chown(lab.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let stranger = Stranger::start();
    let before = stranger.condition();
    for (fault, reason) in [
        ("process.pause", "not permitted"),
        ("cpu.quota=5%", "not permitted"),
        ("memory.limit=50MB", "run as root"),
    ] {
        let mut command = Command::new("setpriv");
        command.args([
            &format!("--reuid={NOBODY}"),
            &format!("--regid={NOBODY}"),
            "--clear-groups",
        ]);
        command.arg(&program);
        command.args(["inject", "--pid", &stranger.pid(), "--fault", fault]);
        command.env("HOME", lab.path());
        let ended = lab.spawn(command).end();
        ended.expect(4);
        let said = ended.err.to_lowercase();
        assert!(said.contains(reason), "{fault}: {ended}");
        assert_eq!(stranger.condition(), before, "{fault}");
    }
}

fn is_limited(group: &Path) -> bool {
    let read = |file: &str| fs::read_to_string(group.join(file)).unwrap_or_default();
    let (v1, v2) = (read("cpu.cfs_quota_us"), read("cpu.max"));
    v1.trim().parse::<i64>().is_ok_and(|quota| quota > 0)
        || v2
            .split_whitespace()
            .next()
            .is_some_and(|quota| quota != "max")
}
