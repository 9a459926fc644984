//! The processes that an agent started.

mod birth;
mod orphan;

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use vocab::time::Wall;

pub(super) use birth::{Born, Ground};
pub(super) use orphan::Orphans;

use super::clock;
use super::wire::{Exit, ExitCause, Place, ProcessId, Spawn};

/// How long killed processes may take to vanish; one that waits for a disk takes its time.
const DEATH: Duration = Duration::from_secs(10);

/// The processes of a node, running and ended.
#[derive(Default)]
pub(super) struct Processes {
    running: BTreeMap<ProcessId, Running>,
    started: u32,
}

/// A process that has not been seen to end.
struct Running {
    pid: Pid,
    name: String,
    place: Place,
    /// How it was started; kept for servers, which a fault may end and have started again.
    spawn: Option<Spawn>,
    life: Life,
}

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Runs,
    /// It was ended by a fault and is to be started again.
    Down,
}

/// A process has ended.
pub(super) struct Ended {
    pub(super) process: ProcessId,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) exit: Exit,
}

impl Processes {
    /// Starts a process on its ground.
    pub(super) fn start(
        &mut self,
        spawn: &Spawn,
        input: Vec<u8>,
        ground: &Ground,
    ) -> Result<(ProcessId, Born), String> {
        let born = birth::start(spawn, input, ground)?;
        self.started += 1;
        let id = ProcessId(self.started);
        let pid = Pid::from_raw(born.pid);
        self.running.insert(
            id,
            Running {
                pid,
                name: spawn.name.clone(),
                place: spawn.place,
                spawn: (spawn.place == Place::Server).then(|| spawn.clone()),
                life: Life::Runs,
            },
        );
        Ok((id, born))
    }

    /// Starts a server again that is down, under the number that its controller knows; gives its process number.
    pub(super) fn revive(&mut self, pid: i32, ground: &Ground) -> Result<i32, String> {
        let running = self
            .running
            .values_mut()
            .find(|running| running.pid.as_raw() == pid)
            .ok_or_else(|| format!("process {pid} was not started here"))?;
        // Its end may not have been seen yet, but whoever asks has.
        if running.life == Life::Runs && reap_one(running.pid).is_none() {
            return Ok(pid);
        }
        running.life = Life::Down;
        let spawn = running
            .spawn
            .as_ref()
            .ok_or_else(|| format!("`{}` is no server", running.name))?;
        let born = birth::start(spawn, Vec::new(), ground)?;
        running.pid = Pid::from_raw(born.pid);
        running.life = Life::Runs;
        Ok(born.pid)
    }

    /// Signals a process and its group.
    pub(super) fn signal(&self, process: ProcessId, signal: i32) -> Result<(), String> {
        let running = self
            .running
            .get(&process)
            .ok_or_else(|| format!("{process} has ended"))?;
        if running.life == Life::Down {
            return Err(format!("{process} was ended by a fault"));
        }
        let signal =
            Signal::try_from(signal).map_err(|_| format!("there is no signal {signal}"))?;
        killpg(running.pid, signal)
            .map_err(|error| format!("cannot send {signal} to `{}`: {error}", running.name))
    }

    /// The process numbers of what runs in `place`.
    pub(super) fn pids(&self, place: Place) -> Vec<i32> {
        self.running
            .values()
            .filter(|running| running.place == place && running.life == Life::Runs)
            .map(|running| running.pid.as_raw())
            .collect()
    }

    /// Whether a process with this number was started here and runs.
    pub(super) fn knows(&self, pid: i32) -> bool {
        self.running
            .values()
            .any(|running| running.pid.as_raw() == pid)
    }

    /// Takes note of all that have ended; those that are expected to stay known, to be started again.
    pub(super) fn reap(&mut self, expected: impl Fn(i32) -> bool) -> Vec<Ended> {
        let mut ended = Vec::new();
        self.running.retain(|id, running| {
            if running.life == Life::Down {
                return true;
            }
            let Some(cause) = reap_one(running.pid) else {
                return true;
            };
            if expected(running.pid.as_raw()) {
                running.life = Life::Down;
                return true;
            }
            let exit = Exit {
                at: clock::now(),
                wall: Wall::now(),
                cause,
            };
            ended.push(Ended {
                process: *id,
                name: running.name.clone(),
                place: running.place,
                exit,
            });
            false
        });
        ended
    }

    /// Kills every process with its group and waits until they are gone; names those that are not.
    ///
    /// Blocks: nothing else is left to do.
    pub(super) fn stop_all(&mut self) -> Vec<String> {
        self.running.retain(|_, running| running.life == Life::Runs);
        for running in self.running.values() {
            // One that just ended needs no signal; a group may outlive its leader.
            let _gone = killpg(running.pid, Signal::SIGKILL);
        }
        let deadline = Instant::now() + DEATH;
        while !self.running.is_empty() && Instant::now() < deadline {
            self.reap(|_| false);
            std::thread::sleep(Duration::from_millis(1));
        }
        let stuck = |running: &Running| {
            format!("process `{}` ({}) does not die", running.name, running.pid)
        };
        self.running.values().map(stuck).collect()
    }
}

/// How a child ended; `None` while it lives.
fn reap_one(pid: Pid) -> Option<ExitCause> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(ExitCause::Code(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(ExitCause::Signal(signal as i32)),
        // Somebody else took it; that it ended is all that is known.
        Err(Errno::ECHILD) => Some(ExitCause::Signal(Signal::SIGKILL as i32)),
        _ => None,
    }
}

/// As process 1 of a PID namespace: kills everything in it and waits until it is gone.
pub(super) fn kill_namespace() -> Result<(), String> {
    let deadline = Instant::now() + DEATH;
    loop {
        match kill(Pid::from_raw(-1), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(format!("cannot kill what is left on the node: {error}")),
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Err(Errno::ECHILD) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    return Err(format!(
                        "cannot wait for what is left on the node: {}",
                        io::Error::from(error)
                    ));
                }
            }
        }
        if Instant::now() > deadline {
            return Err("some processes of the node do not die".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
