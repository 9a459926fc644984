//! Real nodes for tests: a journal, cgroups with a budget, a server process, everything removed at the end.
#![expect(dead_code, reason = "each test program uses its part")]

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child as Process, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use depbench_faults::{
    Effect, Fault, FaultContext, FaultLink, FaultType, Flow, HelperProgram, Probe, Reading, Wiring,
    effect, residue,
};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Pid;
use node::cgroup::{Child, Controller, CpuQuota, Hierarchies, Mode, NodeCgroup, NodeSpec};
use node::facts::Facts;
use node::identity::ProcessId;
use node::journal::{Journal, Purpose};
use node::loopdisk::{DiskSpec, LoopDisk};
use node::tool::Program;
use vocab::units::Bytes;

/// A fault as the experiment file spells it.
pub(crate) fn kind(text: &str) -> FaultType {
    serde_yaml::from_str(text).unwrap()
}

/// The value of a reading that must be there.
pub(crate) fn value(readings: &[Reading], probe: Probe) -> f64 {
    let found = readings.iter().find(|reading| reading.probe == probe);
    found
        .unwrap_or_else(|| panic!("no {} in {readings:?}", probe.name()))
        .value
}

/// One of the programs in `examples/`, which cargo builds with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo test -p depbench-faults`",
        path.display()
    );
    path
}

/// The program that stands for `depbench`.
pub(crate) fn helper() -> HelperProgram {
    HelperProgram::new(example("fault_helper"), [])
}

/// Says why a test is skipped when it is not run by root.
pub(crate) fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("{test} skipped: needs root");
    }
    root
}

/// Says why a test is skipped where no cgroups can be made.
pub(crate) fn has_cgroups(test: &str) -> bool {
    let mode = Hierarchies::detect().mode();
    let has = is_root(test) && mode != Mode::None;
    if !has {
        println!("{test} skipped: {mode}");
    }
    has
}

/// Says why a test is skipped where a node can have no disk of its own.
pub(crate) fn has_disks(test: &str) -> bool {
    if !has_cgroups(test) {
        return false;
    }
    let facts = Facts::gather().unwrap();
    let io = facts.cgroups.has(Controller::Io);
    let has = io && facts.loop_devices.is_yes() && facts.program(Program::MkfsExt4).is_some();
    if !has {
        println!("{test} skipped: needs blkio, loop devices and mkfs.ext4");
    }
    has
}

/// Runs `test` on a thread with a mount namespace of its own, which ends with it.
pub(crate) fn in_a_mount_namespace(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none: Option<&str> = None;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            test();
        });
        thread.join().unwrap();
    });
}

/// A name that no other test uses.
pub(crate) fn run_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("faults-{}-{number}", std::process::id())
}

/// A node with a journal of its own.
pub(crate) struct Rig {
    pub(crate) journal: Journal,
    pub(crate) group: Option<NodeCgroup>,
    pub(crate) servers: Vec<Server>,
    disk: Option<LoopDisk>,
    purpose: Purpose,
    dir: tempfile::TempDir,
}

impl Rig {
    /// A node without cgroups.
    pub(crate) fn bare() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let purpose = Purpose {
            run: run_name().parse().unwrap(),
            node: "s1".parse().unwrap(),
        };
        Rig {
            journal: Journal::open(dir.path(), &purpose).unwrap(),
            group: None,
            servers: Vec::new(),
            disk: None,
            purpose,
            dir,
        }
    }

    /// A node with a machine size of so many CPUs.
    pub(crate) fn with_budget(cpus: f64) -> Rig {
        let mut rig = Rig::bare();
        let spec = NodeSpec {
            run: rig.purpose.run.clone(),
            node: rig.purpose.node.clone(),
            budget: Some(CpuQuota::new(cpus, CpuQuota::BUDGET_PERIOD).unwrap()),
            cpus: None,
        };
        let hierarchies = Facts::gather().unwrap().cgroups;
        rig.group = Some(NodeCgroup::create(&hierarchies, &spec, &rig.journal).unwrap());
        rig
    }

    /// The same with a disk of its own; to be used with [`in_a_mount_namespace`].
    pub(crate) fn with_disk(cpus: f64) -> Rig {
        let mut rig = Rig::with_budget(cpus);
        let mount_point = rig.dir.path().join("disk");
        std::fs::create_dir(&mount_point).unwrap();
        let spec = DiskSpec {
            size: Bytes(128 << 20),
            image_dir: rig.dir.path().to_owned(),
            mount_point,
        };
        rig.disk = Some(LoopDisk::create(&spec).unwrap());
        rig
    }

    /// Where files lie on the node's disk.
    pub(crate) fn disk_dir(&self) -> PathBuf {
        match &self.disk {
            Some(disk) => disk.mount_point().to_owned(),
            None => self.dir.path().to_owned(),
        }
    }

    /// Starts a server in the node's group.
    pub(crate) fn serve(&mut self, mut command: Command) -> ProcessId {
        if let Some(group) = &self.group {
            group.admission(Child::Server).unwrap().admit(&mut command);
        }
        let server = Server(command.stdin(Stdio::null()).spawn().unwrap());
        let id = server.id();
        self.servers.push(server);
        id
    }

    /// What faults on this node are told.
    pub(crate) fn context(&self) -> FaultContext {
        FaultContext {
            journal: self.journal.clone(),
            facts: Facts::gather().unwrap(),
            cgroup: self.group.clone(),
            servers: self.servers.iter().map(Server::id).collect(),
            disk: Some(self.disk_dir()),
            device: None,
            latency: None,
            keeper: None,
            link: None,
            flow: Flow::default(),
            wiring: Wiring::Hub,
            helper: helper(),
        }
    }

    /// The same for a fault on a link.
    pub(crate) fn context_of_link(&self, link: FaultLink) -> FaultContext {
        FaultContext {
            link: Some(link),
            ..self.context()
        }
    }

    /// How many undos stand in the journal.
    pub(crate) fn standing(&self) -> usize {
        self.entries().len()
    }

    /// The helpers that the journal says are to be ended.
    pub(crate) fn helpers(&self) -> Vec<Pid> {
        let undos = self.entries().into_iter().map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        });
        undos
            .filter_map(|entry| entry["undo"]["kill"]["process"]["pid"].as_i64())
            .map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()))
            .collect()
    }

    fn entries(&self) -> Vec<PathBuf> {
        let dir = self.dir.path().join(self.journal.owner().to_string());
        let files = std::fs::read_dir(dir).unwrap().flatten();
        files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.servers.clear();
        if let Some(group) = &self.group {
            group.remove().unwrap();
        }
        if let Some(disk) = self.disk.take() {
            disk.unmount().unwrap();
        }
    }
}

/// A process that does not outlive its test.
pub(crate) struct Server(pub(crate) Process);

impl Server {
    /// Which process it is.
    pub(crate) fn id(&self) -> ProcessId {
        ProcessId::of(self.0.id() as i32).unwrap().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed with its group, or have ended as it should.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that wants one whole CPU.
pub(crate) fn busy() -> Command {
    shell("while :; do :; done")
}

/// A server that wants nothing.
pub(crate) fn idle() -> Command {
    let mut command = Command::new("sleep");
    command.arg("300");
    command
}

/// A server that is a shell script.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Far longer than anything takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for something that should come.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Probes until the readings are as they should be.
pub(crate) fn probe_until(
    fault: &mut Fault,
    what: &str,
    mut expected: impl FnMut(&[Reading]) -> bool,
) -> Vec<Reading> {
    let mut readings = Vec::new();
    wait_for(what, || {
        readings = fault.probe().unwrap();
        expected(&readings)
    });
    readings
}

/// Probes until the readings prove that a fault bit.
pub(crate) fn until_bit(fault: &mut Fault, before: &[Reading]) -> Vec<Reading> {
    let kind = fault.kind().clone();
    probe_until(fault, "the bite", |during| {
        let effect = effect(&kind, before, during);
        effect
            .objection()
            .inspect(|objection| println!("not yet: {objection}"));
        effect == Effect::Bit
    })
}

/// Probes until the readings prove that nothing is left of a fault.
pub(crate) fn until_gone(fault: &mut Fault, before: &[Reading]) -> Vec<Reading> {
    let kind = fault.kind().clone();
    probe_until(fault, "the end of the fault", |after| {
        let left = residue(&kind, before, after);
        left.iter().for_each(|left| println!("not yet: {left}"));
        left.is_none()
    })
}

/// The state letter of a process.
pub(crate) fn state(process: ProcessId) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

/// Makes a server run on the first CPU only.
pub(crate) fn pinned(mut command: Command) -> Command {
    let mut set = nix::sched::CpuSet::new();
    set.set(0).unwrap();
    let myself = nix::unistd::Pid::from_raw(0);
    // SAFETY: between fork and exec only one system call is made.
    unsafe {
        command.pre_exec(move || Ok(nix::sched::sched_setaffinity(myself, &set)?));
    }
    command
}

/// Injects `text` for some seconds; gives the readings before and during it.
pub(crate) fn measure(text: &str, context: &FaultContext) -> [Vec<Reading>; 2] {
    let kind = kind(text);
    let mut fault = Fault::prepare(&kind, context).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let before = fault.probe().unwrap();
    fault.inject().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let during = fault.probe().unwrap();
    fault.clear().unwrap();
    let verdict = effect(&kind, &before, &during);
    print!("{text} by {}: {verdict}; ", fault.backend());
    [before, during]
}
