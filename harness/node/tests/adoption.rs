//! Processes that were there before, taken into groups of ours and given back. Needs root and writable cgroups.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use node::cgroup::{CgroupError, Child, Controller, Hierarchies, Mode, NodeCgroup, NodeSpec};
use node::identity::ProcessId;
use node::journal::{self, Journal, Purpose};

/// A process of somebody else: three threads, one of them in a group of its own (version 1).
struct Stranger {
    process: Process,
    own_group: Option<PathBuf>,
}

impl Stranger {
    fn start(hierarchies: &Hierarchies) -> Stranger {
        // Forks a child when it is told to, whose number it prints.
        let program = "import os,sys,threading,time
for _ in range(2): threading.Thread(target=lambda: time.sleep(600), daemon=True).start()
print('up', flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        time.sleep(600); os._exit(0)
    print(child, flush=True)
";
        let mut process = Command::new("python3")
            .args(["-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.as_mut().unwrap());
        out.read_line(&mut line).unwrap();
        let mut stranger = Stranger {
            process,
            own_group: None,
        };
        if hierarchies.mode() == Mode::V1 {
            let group = PathBuf::from(format!("/sys/fs/cgroup/cpu/stranger-{}", stranger.pid()));
            fs::create_dir(&group).unwrap();
            stranger.own_group = Some(group.clone());
            let last = *stranger.threads().last().unwrap();
            fs::write(group.join("tasks"), last.to_string()).unwrap();
        }
        stranger
    }

    fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    fn threads(&self) -> Vec<i32> {
        let mut threads: Vec<i32> = fs::read_dir(format!("/proc/{}/task", self.pid()))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        threads.sort_unstable();
        threads
    }

    /// The groups of each thread.
    fn places(&self) -> Vec<String> {
        let read = |thread: &i32| fs::read_to_string(format!("/proc/{thread}/cgroup")).unwrap();
        self.threads().iter().map(read).collect()
    }

    fn fork(&mut self) -> i32 {
        use std::io::Write;
        writeln!(self.process.stdin.as_mut().unwrap()).unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(self.process.stdout.as_mut().unwrap());
        out.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _status = self.process.wait();
        if let Some(group) = &self.own_group {
            let deadline = Instant::now() + Duration::from_secs(120);
            while fs::remove_dir(group).is_err() && group.exists() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

fn hierarchies() -> Option<Hierarchies> {
    let hierarchies = Hierarchies::detect();
    let usable =
        hierarchies.has(Controller::Cpu) && Command::new("python3").arg("-V").output().is_ok();
    if !usable {
        println!(
            "skipped: {hierarchies}, {:?}; or no python3",
            hierarchies.refused()
        );
    }
    usable.then_some(hierarchies)
}

fn purpose(run: &str) -> Purpose {
    Purpose {
        run: format!("{run}-{}", std::process::id()).parse().unwrap(),
        node: "p1".parse().unwrap(),
    }
}

fn adopt(
    hierarchies: &Hierarchies,
    purpose: &Purpose,
    journal: &Journal,
    process: ProcessId,
) -> Result<NodeCgroup, CgroupError> {
    let spec = NodeSpec {
        run: purpose.run.clone(),
        node: purpose.node.clone(),
        budget: None,
        cpus: None,
    };
    NodeCgroup::adopt(hierarchies, &spec, journal, process)
}

fn left(hierarchies: &Hierarchies, purpose: &Purpose) -> Vec<PathBuf> {
    let name = format!("depbench-{}-{}", purpose.run, purpose.node);
    let paths = hierarchies.bases().map(|base| base.join(&name));
    paths.filter(|path| path.exists()).collect()
}

#[test]
fn every_thread_comes_back_to_its_own_group_and_nothing_is_killed() {
    let Some(hierarchies) = hierarchies() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let purpose = purpose("adopt");
    let mut stranger = Stranger::start(&hierarchies);
    let before = stranger.places();
    let process = ProcessId::of(stranger.pid()).unwrap().unwrap();

    let journal = Journal::open(&dir.path().join("journal"), &purpose).unwrap();
    let group = adopt(&hierarchies, &purpose, &journal, process).unwrap();
    assert!(
        group
            .members(Child::Server)
            .unwrap()
            .contains(&stranger.pid())
    );
    let inside = stranger.places();
    assert!(
        inside.iter().all(|place| place.contains("depbench-")),
        "{inside:?}"
    );
    // It belongs to a run now, and no second one takes it.
    let again = adopt(&hierarchies, &self::purpose("adopt2"), &journal, process);
    assert!(again.unwrap_err().to_string().contains("a run of depbench"));
    let born = ProcessId::of(stranger.fork()).unwrap().unwrap();

    group.remove().unwrap();
    assert_eq!(stranger.places(), before);
    assert!(born.is_alive(), "what it forked meanwhile was killed");
    let of_child = fs::read_to_string(format!("/proc/{}/cgroup", born.pid)).unwrap();
    assert!(!of_child.contains("depbench-"), "{of_child}");
    born.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(left(&hierarchies, &purpose), Vec::<PathBuf>::new());
    journal.close().unwrap();
}

#[test]
fn heal_gives_back_what_a_killed_owner_held() {
    let Some(hierarchies) = hierarchies() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let purpose = purpose("adopt-heal");
    let mut stranger = Stranger::start(&hierarchies);
    let before = stranger.places();
    let process = ProcessId::of(stranger.pid()).unwrap().unwrap();
    let at = dir.path().join("journal");
    let journal = Journal::open(&at, &purpose).unwrap();
    let group = adopt(&hierarchies, &purpose, &journal, process).unwrap();
    // As if it were killed: the lock goes, what stands stays.
    drop((group, journal));
    let report = journal::heal(&at).unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(stranger.places(), before);
    assert_eq!(left(&hierarchies, &purpose), Vec::<PathBuf>::new());

    // One that has ended is refused, and nothing is left half made.
    stranger.process.kill().unwrap();
    stranger.process.wait().unwrap();
    let journal = Journal::open(&at, &purpose).unwrap();
    let gone = adopt(&hierarchies, &purpose, &journal, process);
    assert!(gone.is_err());
    assert_eq!(left(&hierarchies, &purpose), Vec::<PathBuf>::new());
    journal.close().unwrap();
}
