//! A node's groups on the real kernel. Needs root and writable cgroups; skipped with a reason otherwise.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use node::cgroup::{
    CgroupError, CgroupStat, Child, Controller, CpuQuota, CpuSet, Hierarchies, MemoryLimit, Mode,
    NodeCgroup, NodeSpec, Scope,
};
use node::journal::{self, Journal, Purpose};

/// Groups of their own for one test, and the journal they are in.
struct Fixture {
    dir: tempfile::TempDir,
    journal: Option<Journal>,
    group: Option<NodeCgroup>,
}

impl Fixture {
    fn new(run: &str, budget: Option<f64>) -> Option<Fixture> {
        let hierarchies = Hierarchies::detect();
        if hierarchies.mode() == Mode::None || !hierarchies.has(Controller::Cpu) {
            println!("skipped: {hierarchies}, {:?}", hierarchies.refused());
            return None;
        }
        let run = format!("{run}-{}", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        let purpose = Purpose {
            run: run.parse().unwrap(),
            node: "s1".parse().unwrap(),
        };
        let journal = Journal::open(&dir.path().join("journal"), &purpose).unwrap();
        let spec = NodeSpec {
            run: purpose.run,
            node: purpose.node,
            budget: budget.map(|cpus| CpuQuota::new(cpus, CpuQuota::BUDGET_PERIOD).unwrap()),
            cpus: hierarchies.has(Controller::Cpuset).then(|| CpuSet::one(0)),
        };
        let group = NodeCgroup::create(&hierarchies, &spec, &journal).unwrap();
        Some(Fixture {
            dir,
            journal: Some(journal),
            group: Some(group),
        })
    }

    fn group(&self) -> &NodeCgroup {
        self.group.as_ref().unwrap()
    }

    fn paths(&self) -> Vec<PathBuf> {
        let name = format!("depbench-{}", self.journal.as_ref().unwrap().owner());
        let name = name.rsplitn(3, '-').nth(2).unwrap().to_owned();
        let bases = Hierarchies::detect();
        bases.bases().map(|base| base.join(&name)).collect()
    }

    fn start(&self, child: Child, program: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.group().admission(child).unwrap().admit(&mut command);
        command.spawn().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            group.remove().unwrap();
        }
    }
}

const SPIN: [&str; 2] = ["-c", "while :; do :; done"];

/// What a group used while `millis` passed, and the seconds that really passed.
fn used(fixture: &Fixture, scope: Scope, millis: u64) -> (CgroupStat, CgroupStat, f64) {
    let before = fixture.group().stat(scope);
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(millis));
    (
        before,
        fixture.group().stat(scope),
        start.elapsed().as_secs_f64(),
    )
}

fn cpus(used: &(CgroupStat, CgroupStat, f64)) -> f64 {
    (used.1.cpu_ns.unwrap() - used.0.cpu_ns.unwrap()) as f64 / 1e9 / used.2
}

#[test]
fn a_budget_throttles_and_removal_leaves_nothing() {
    let Some(fixture) = Fixture::new("budget", Some(0.3)) else {
        return;
    };
    let paths = fixture.paths();
    assert!(paths.iter().all(|path| path.exists()), "{paths:?}");
    let mut spinner = fixture.start(Child::Server, "sh", &SPIN);
    assert_eq!(
        fixture.group().members(Child::Server).unwrap(),
        [spinner.id() as i32]
    );
    // On a busy machine it may not get even its budget for a while.
    let begun = Instant::now();
    loop {
        let used = used(&fixture, Scope::Node, 600);
        assert!(cpus(&used) < 0.5, "at most 0.3 CPUs and a margin: {used:?}");
        if used.1.throttled_periods > used.0.throttled_periods
            && used.1.throttled_ns > used.0.throttled_ns
        {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{used:?}");
    }
    fixture.group().remove().unwrap();
    spinner.wait().unwrap();
    assert!(paths.iter().all(|path| !path.exists()), "{paths:?}");
}

#[test]
fn a_quota_bites_within_the_budget_and_is_restored() {
    let Some(fixture) = Fixture::new("quota", Some(0.8)) else {
        return;
    };
    let mut spinner = fixture.start(Child::Server, "sh", &SPIN);
    let budget = fixture.group().budget().unwrap();
    let five = budget
        .share("5%".parse().unwrap(), CpuQuota::FAULT_PERIOD)
        .unwrap();
    let server = Scope::Child(Child::Server);
    let entry = fixture.group().set_quota(server, five).unwrap();
    let during = used(&fixture, server, 500);
    assert!(
        during.1.throttled_periods > during.0.throttled_periods,
        "{during:?}"
    );
    entry.undo().unwrap();
    let after = used(&fixture, server, 500);
    assert_eq!(
        after.1.throttled_periods, after.0.throttled_periods,
        "{after:?}"
    );
    assert!(cpus(&after) > 2.0 * cpus(&during), "{during:?} {after:?}");

    if fixture.group().hierarchies().mode() == Mode::V1 {
        let more = CpuQuota::new(0.9, CpuQuota::FAULT_PERIOD).unwrap();
        let error = fixture.group().set_quota(server, more).unwrap_err();
        assert!(error.to_string().contains("cpu.cfs_quota_us"), "{error}");
    }
    fixture.group().remove().unwrap();
    spinner.wait().unwrap();
}

#[test]
fn weights_share_the_cpu() {
    // No budget: on some kernels a quota with a short period defeats weights (see docs/faults/cpu.contention.md).
    let Some(fixture) = Fixture::new("weight", None) else {
        return;
    };
    let mut server = fixture.start(Child::Server, "sh", &SPIN);
    let mut rival = fixture.start(Child::Contention, "sh", &SPIN);
    let contention = Scope::Child(Child::Contention);
    let entry = fixture
        .group()
        .set_weight(contention, "15x".parse().unwrap())
        .unwrap();
    let before = fixture.group().stat(Scope::Child(Child::Server));
    let heavy = used(&fixture, contention, 800);
    let after = fixture.group().stat(Scope::Child(Child::Server));
    let light = (after.cpu_ns.unwrap() - before.cpu_ns.unwrap()) as f64 / 1e9 / heavy.2;
    assert!(
        cpus(&heavy) > 3.0 * light,
        "{} against {light}",
        cpus(&heavy)
    );
    entry.undo().unwrap();
    fixture.group().remove().unwrap();
    server.wait().unwrap();
    rival.wait().unwrap();
}

#[test]
fn memory_over_the_limit_is_killed_and_counted() {
    let Some(fixture) = Fixture::new("memory", None) else {
        return;
    };
    if !fixture.group().hierarchies().has(Controller::Memory) {
        println!("skipped: no memory controller");
        return;
    }
    let server = Scope::Child(Child::Server);
    let limit = MemoryLimit::Hard("20MB".parse().unwrap());
    let entry = fixture.group().limit_memory(server, limit).unwrap();
    let mut eater = fixture.start(
        Child::Server,
        "sh",
        &["-c", "x=$(head -c 60000000 /dev/zero | tr '\\0' x)"],
    );
    eater.wait().unwrap();
    let stat = fixture.group().stat(server);
    assert!(stat.oom_kills.unwrap() > 0, "{stat:?}");
    entry.undo().unwrap();
}

#[test]
fn a_limit_below_what_is_held_is_refused_in_version_1() {
    let Some(fixture) = Fixture::new("held", None) else {
        return;
    };
    if fixture.group().hierarchies().mode() != Mode::V1 {
        println!("skipped: only version 1 refuses");
        return;
    }
    // Holds its memory until it is told to end.
    let mut holder = Command::new("sh");
    holder
        .args([
            "-c",
            "x=$(head -c 20000000 /dev/zero | tr '\\0' x); echo; read y",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    fixture
        .group()
        .admission(Child::Server)
        .unwrap()
        .admit(&mut holder);
    let mut holder = holder.spawn().unwrap();
    let mut line = [0];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    let limit = MemoryLimit::Hard("4MB".parse().unwrap());
    let refused = fixture
        .group()
        .limit_memory(Scope::Child(Child::Server), limit)
        .unwrap_err();
    assert!(matches!(refused, CgroupError::InUse { .. }), "{refused}");
    let throttle = MemoryLimit::Throttle("4MB".parse().unwrap());
    let refused = fixture
        .group()
        .limit_memory(Scope::Node, throttle)
        .unwrap_err();
    assert!(
        matches!(refused, CgroupError::NoController { .. }),
        "{refused}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_process_that_runs_can_be_moved() {
    let Some(fixture) = Fixture::new("attach", None) else {
        return;
    };
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = sleeper.id() as i32;
    fixture.group().attach(Child::Client, pid).unwrap();
    assert_eq!(fixture.group().members(Child::Client).unwrap(), [pid]);
    assert!(fixture.group().attach(Child::Client, i32::MAX).is_err());
    fixture.group().remove().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn what_a_dead_owner_left_is_healed() {
    let Some(mut fixture) = Fixture::new("heal", Some(0.5)) else {
        return;
    };
    let paths = fixture.paths();
    let quota = CpuQuota::new(0.1, CpuQuota::FAULT_PERIOD).unwrap();
    let stands = fixture
        .group()
        .set_quota(Scope::Child(Child::Server), quota)
        .unwrap();
    let mut spinner = fixture.start(Child::Server, "sh", &SPIN);
    let journal_dir = fixture.dir.path().join("journal");
    assert_eq!(journal::heal(&journal_dir).unwrap().live.len(), 1);
    // The owner goes without a word.
    drop(stands);
    fixture.group = None;
    fixture.journal = None;
    let report = journal::heal(&journal_dir).unwrap();
    assert!(report.is_complete() && report.healed.len() == 2, "{report}");
    spinner.wait().unwrap();
    assert!(paths.iter().all(|path| !path.exists()), "{paths:?}");
}

#[test]
fn a_name_that_is_taken_is_refused_and_left_alone() {
    let Some(fixture) = Fixture::new("taken", None) else {
        return;
    };
    let journal = fixture.journal.as_ref().unwrap();
    let run = format!("taken-{}", std::process::id());
    let spec = NodeSpec {
        run: run.parse().unwrap(),
        node: "s1".parse().unwrap(),
        budget: None,
        cpus: None,
    };
    let error = NodeCgroup::create(&Hierarchies::detect(), &spec, journal).unwrap_err();
    assert!(error.to_string().contains("heal"), "{error}");
    assert!(fixture.paths().iter().all(|path| path.exists()));
}
