//! Where guardian and agent stand among the processes of the machine.

use std::fs;
use std::io;

use nix::unistd::{Pid, getpgid, getpid, getppid, getsid, setpgid, setsid};

use super::GuardianError;

pub(super) fn require_single_thread() -> Result<(), GuardianError> {
    let threads = fs::read_dir("/proc/self/task")
        .map_err(GuardianError::step("count threads"))?
        .count();
    match threads {
        1 => Ok(()),
        more => Err(GuardianError::Threads(more)),
    }
}

/// Makes this process the leader of a session, away from any terminal.
pub(super) fn lead() -> io::Result<()> {
    if getsid(None)? == getpid() {
        return Ok(());
    }
    if setsid().is_ok() {
        return Ok(());
    }
    // A shell made it the leader of a process group, which may not start a session: join the parent's group first.
    setpgid(Pid::from_raw(0), getpgid(Some(getppid()))?)?;
    setsid()?;
    Ok(())
}
