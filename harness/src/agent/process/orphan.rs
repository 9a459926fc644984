use std::collections::BTreeSet;
use std::fs;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getsid};

use super::Processes;

/// Processes that lost their parent and became the agent's children.
///
/// A dead child is not simply taken with `waitpid(-1)`: it may be a helper of a fault, whose owner waits for it. An
/// orphan is told from those by its session, which is that of a process the agent had started.
#[derive(Default)]
pub(in crate::agent) struct Orphans {
    /// Seen dead in the last round, and not waited for by anybody since.
    dead: BTreeSet<i32>,
}

impl Orphans {
    /// Buries orphans that were dead in the last round already.
    pub(in crate::agent) fn bury(&mut self, processes: &Processes) {
        let dead: BTreeSet<i32> = children()
            .into_iter()
            .filter(|pid| is_orphan(*pid, processes))
            .collect();
        for pid in dead.intersection(&self.dead) {
            // Whoever else took it did the same.
            let _taken = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
        }
        self.dead = dead;
    }
}

fn is_orphan(pid: i32, processes: &Processes) -> bool {
    !processes.knows(pid) && is_zombie(pid) && getsid(Some(Pid::from_raw(pid))) != getsid(None)
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// The children of this process's main thread, which starts them all and inherits orphans.
fn children() -> Vec<i32> {
    let list = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
