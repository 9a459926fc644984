//! The server processes that a fault is to slow: which they are, whether they live, what they get.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use node::cgroup::{Child, NodeCgroup};
use node::identity::ProcessId;
use node::procfs::{ProcessSample, ProcessTree};

use crate::error::FaultError;
use crate::reading::{Probe, Reading};

/// The servers of a node: those their starter knows, and what they have forked.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    fault: &'static str,
    known: Vec<ProcessId>,
    cgroup: Option<NodeCgroup>,
}

/// What the kernel makes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Gone,
    Stopped,
    Alive,
}

impl Servers {
    /// The servers that `fault` is to slow.
    pub(crate) fn new(
        fault: &'static str,
        known: &[ProcessId],
        cgroup: Option<&NodeCgroup>,
    ) -> Servers {
        Servers {
            fault,
            known: known.to_vec(),
            cgroup: cgroup.cloned(),
        }
    }

    /// Fails unless every known server lives, and there is one.
    pub(crate) fn check(&self) -> Result<(), FaultError> {
        let fault = self.fault;
        if self.known.is_empty() {
            return Err(FaultError::NoServer { fault });
        }
        match self
            .known
            .iter()
            .find(|process| state(process) == State::Gone)
        {
            Some(process) => Err(FaultError::ServerGone {
                fault,
                process: *process,
            }),
            None => Ok(()),
        }
    }

    /// The servers that their starter knows.
    pub(crate) fn known(&self) -> &[ProcessId] {
        &self.known
    }

    /// Takes others for the known ones.
    pub(crate) fn replace(&mut self, known: Vec<ProcessId>) {
        self.known = known;
    }

    /// All server processes now: the members of the server's cgroup, else the known ones and their descendants.
    pub(crate) fn all(&self) -> Vec<ProcessId> {
        let members = self
            .cgroup
            .as_ref()
            .map(|group| group.members(Child::Server));
        if let Some(Ok(members)) = members {
            let found = members
                .into_iter()
                .filter_map(|pid| ProcessId::of(pid).ok()?);
            return found.collect();
        }
        let trees = self.known.iter().filter(|process| process.is_alive());
        trees
            .filter_map(|process| ProcessTree::under(process.pid).ok())
            .flat_map(|tree| tree.processes.into_iter().map(|sample| sample.process))
            .collect()
    }

    /// How many of the known servers live.
    pub(crate) fn alive(&self) -> Reading {
        let alive = self
            .known
            .iter()
            .filter(|process| state(process) != State::Gone);
        Probe::ServerProcesses.reading(alive.count() as f64)
    }

    /// How many server processes are stopped.
    pub(crate) fn stopped(&self) -> Reading {
        let all = self.all();
        let stopped = all
            .iter()
            .filter(|process| state(process) == State::Stopped);
        Probe::StoppedProcesses.reading(stopped.count() as f64)
    }

    /// CPU time the servers have used so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        match self.group_cpu_time() {
            Some(time) => time,
            None => cpu_time(&self.all()),
        }
    }

    /// Time the threads that live now have waited for a CPU so far, summed.
    pub(crate) fn cpu_wait(&self) -> Duration {
        self.all().iter().filter_map(run_delay).sum()
    }

    /// Bytes that the servers that live now have written into files so far, synced or not.
    pub(crate) fn dirtied_bytes(&self) -> u64 {
        let written = |process: &ProcessId| {
            let sample = ProcessSample::of(process.pid).ok().flatten()?;
            sample.disk_write_bytes
        };
        self.all().iter().filter_map(written).sum()
    }

    /// The CPUs that the servers may run on; empty if that cannot be told.
    pub(crate) fn cpus(&self) -> Vec<usize> {
        let affinity =
            |process: &ProcessId| nix::sched::sched_getaffinity(Pid::from_raw(process.pid)).ok();
        let sets: Vec<_> = self.all().iter().filter_map(affinity).collect();
        let allowed = |cpu: &usize| sets.iter().any(|set| set.is_set(*cpu).unwrap_or(false));
        (0..nix::sched::CpuSet::count()).filter(allowed).collect()
    }

    fn group_cpu_time(&self) -> Option<Duration> {
        let group = self.cgroup.as_ref()?;
        let used = group
            .stat(node::cgroup::Scope::Child(Child::Server))
            .cpu_ns?;
        Some(Duration::from_nanos(used))
    }
}

/// Whether a process has ended, waited for by its parent or not.
pub(crate) fn has_ended(process: &ProcessId) -> bool {
    state(process) == State::Gone
}

/// Waits until a stop signal has taken hold: a thread that runs on another CPU, or waits for a disk, stops a little
/// later. Gives up after a second; the probe tells.
pub(crate) fn wait_until_stopped(processes: &[ProcessId]) {
    let deadline = Instant::now() + Duration::from_secs(1);
    let running = |process: &ProcessId| state(process) == State::Alive;
    while processes.iter().any(running) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// CPU time of all threads of the processes together; of those that have ended, nothing.
pub(crate) fn cpu_time(processes: &[ProcessId]) -> Duration {
    let clocks = processes.iter().filter_map(|process| {
        let clock = nix::time::clock_getcpuclockid(Pid::from_raw(process.pid)).ok()?;
        clock.now().ok()
    });
    clocks
        .map(|time| Duration::from_nanos(time.num_nanoseconds().max(0) as u64))
        .sum()
}

/// Field 2 of `schedstat`, of all threads.
fn run_delay(process: &ProcessId) -> Option<Duration> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.pid)).ok()?;
    let of_task = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse().ok()
    };
    Some(Duration::from_nanos(
        tasks.flatten().filter_map(of_task).sum(),
    ))
}

fn state(process: &ProcessId) -> State {
    if !process.is_alive() {
        return State::Gone;
    }
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    let letter = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    match letter {
        Some('T' | 't') => State::Stopped,
        None | Some('Z' | 'X') => State::Gone,
        Some(_) => State::Alive,
    }
}
