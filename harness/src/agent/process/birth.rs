use nix::libc;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid, setsid};
use node::cgroup::Admission;

use crate::agent::wire::{Output, Place, Spawn};

/// Where processes are started: what does not depend on the single process.
pub(in crate::agent) struct Ground {
    /// Where a process starts that names no directory.
    pub(in crate::agent) data: PathBuf,
    /// Where standard output and standard error go.
    pub(in crate::agent) logs: PathBuf,
    /// For temporary files.
    pub(in crate::agent) tmp: PathBuf,
    /// The way into each place's group, where there are groups.
    pub(in crate::agent) admissions: BTreeMap<Place, Admission>,
    /// The CPUs of the node; empty for all.
    pub(in crate::agent) cpus: Vec<u32>,
    /// Added to every environment; also tells our processes from others.
    pub(in crate::agent) env: Vec<(&'static str, String)>,
}

/// A process was started.
pub(in crate::agent) struct Born {
    pub(in crate::agent) pid: i32,
    /// Its standard output, when that was asked for.
    pub(in crate::agent) stdout: Option<OwnedFd>,
    /// Its standard input and what is to be written there.
    pub(in crate::agent) stdin: Option<(OwnedFd, Vec<u8>)>,
}

pub(super) fn start(spawn: &Spawn, input: Vec<u8>, ground: &Ground) -> Result<Born, String> {
    let (program, arguments) = spawn
        .argv
        .split_first()
        .ok_or("no program to start: argv is empty")?;
    let cwd = spawn.cwd.as_deref().unwrap_or(&ground.data);
    let failed = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => ": is it installed, and does the directory exist?",
            _ => "",
        };
        format!(
            "cannot start `{program}` in {}: {error}{hint}",
            cwd.display()
        )
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(&spawn.env)
        .env("TMPDIR", &ground.tmp)
        .envs(ground.env.iter().cloned())
        .current_dir(cwd);
    command.stderr(log(&ground.logs, &spawn.name, "err")?);
    match spawn.output {
        Output::Log => command
            .stdin(Stdio::null())
            .stdout(log(&ground.logs, &spawn.name, "out")?),
        Output::Stream => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
    };
    let cpus = affinity(if spawn.cpus.is_empty() {
        &ground.cpus
    } else {
        &spawn.cpus
    })?;
    let agent = getpid();
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(move || separate(agent, cpus.as_ref()));
    }
    if let Some(admission) = ground.admissions.get(&spawn.place) {
        admission.admit(&mut command);
    }
    let mut child = command.spawn().map_err(failed)?;
    let stdin = child
        .stdin
        .take()
        .map(|stdin: ChildStdin| (OwnedFd::from(stdin), input));
    Ok(Born {
        pid: child.id() as i32,
        stdout: child.stdout.take().map(OwnedFd::from),
        stdin,
    })
}

/// Gives a new process a session of its own, the agent's life as its longest, and none of the agent's priority.
fn separate(agent: Pid, cpus: Option<&CpuSet>) -> io::Result<()> {
    setsid()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The agent may have died before the line above.
    if getppid() != agent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: a system call with plain numbers. Who runs depbench by `nice` and without the privilege cannot have more.
    let _refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) };
    if let Some(cpus) = cpus {
        sched_setaffinity(Pid::from_raw(0), cpus)?;
    }
    Ok(())
}

fn affinity(cpus: &[u32]) -> Result<Option<CpuSet>, String> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu as usize)
            .map_err(|_| format!("there is no CPU {cpu}"))?;
    }
    Ok(Some(set))
}

/// Opens a log to append to, so that a restarted process goes on in it.
fn log(dir: &Path, name: &str, kind: &str) -> Result<File, String> {
    let plain = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !plain || name.starts_with('.') {
        return Err(format!(
            "`{name}` cannot name a log: expected letters, digits, dots, dashes, underscores"
        ));
    }
    let path = dir.join(format!("{name}.{kind}"));
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.map_err(|error| format!("cannot open the log {}: {error}", path.display()))
}
