//! What the guardian does.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stdin, dup2_stdout};

use super::GOODBYE;
use crate::identity::ProcessId;
use crate::journal::Journal;
use crate::procfs::ProcessTree;

/// How long descendants of the agent get to die before, and again after, the journal is healed.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) struct Watch {
    agent: Pid,
    listening: OwnedFd,
    journal: Journal,
}

impl Watch {
    pub(super) fn new(agent: Pid, listening: OwnedFd, journal: Journal) -> Watch {
        Watch {
            agent,
            listening,
            journal,
        }
    }

    /// Waits for the agent to end, cleans up after it, and exits with its status.
    pub(super) fn until_the_end(self) -> ! {
        stand_aside();
        let status = self.wait_for_agent();
        let said_goodbye = self.heard_goodbye();
        kill_descendants();
        let report = self.journal.heal_own();
        // What was frozen or stopped could only die now.
        kill_descendants();
        match report {
            Ok(report) if said_goodbye && report.is_complete() => {}
            Ok(report) => tell(&format!(
                "agent of {} ended{}; {report}",
                self.journal.owner(),
                if said_goodbye {
                    ""
                } else {
                    " without a goodbye"
                },
            )),
            Err(error) => tell(&error.to_string()),
        }
        if let Err(error) = self.journal.close() {
            tell(&error.to_string());
        }
        std::process::exit(status)
    }

    fn wait_for_agent(&self) -> i32 {
        loop {
            // Orphans that this process adopted are reaped on the way.
            match waitpid(None, None) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.agent => return code,
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.agent => {
                    return 128 + signal as i32;
                }
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(_) => return 1,
            }
        }
    }

    fn heard_goodbye(&self) -> bool {
        // A fork of the agent may still hold the other end; it must not keep the guardian from healing.
        let mut watched = [PollFd::new(self.listening.as_fd(), PollFlags::POLLIN)];
        let has_ended_or_spoken =
            poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        let mut byte = [0];
        has_ended_or_spoken
            && nix::unistd::read(&self.listening, &mut byte) == Ok(1)
            && byte[0] == GOODBYE
    }
}

/// Says something where somebody may read it. Standard error may be a pipe that nobody reads any more, which must not
/// end the guardian before its work is done, as `eprintln!` would.
fn tell(text: &str) {
    let _unheard = writeln!(io::stderr(), "depbench guardian: {text}");
}

/// Leaves the agent's conversation and what is meant for its terminal alone, and keeps no directory busy.
fn stand_aside() {
    let _ = std::env::set_current_dir("/");
    // When memory runs out on the whole machine, the one who undoes must be the last to go. Refused to users.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null);
        let _ = dup2_stdout(&null);
    }
    for ignored in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGPIPE,
    ] {
        // SAFETY: ignoring a signal runs no handler.
        let _ = unsafe { signal(ignored, SigHandler::SigIgn) };
    }
}

/// Kills what the agent left: its orphans became children of this process, and only they can be its children.
fn kill_descendants() {
    let Ok(me) = ProcessId::current() else {
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tree = ProcessTree::under(me.pid).unwrap_or_default();
        for sample in tree.processes.iter().filter(|sample| sample.process != me) {
            let _ = sample.process.signal(Signal::SIGKILL);
        }
        if reap_all() == Left::Nobody || Instant::now() > deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[derive(PartialEq, Eq)]
enum Left {
    Somebody,
    Nobody,
}

fn reap_all() -> Left {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(nix::Error::EINTR) => return Left::Somebody,
            Ok(_) => {}
            Err(_) => return Left::Nobody,
        }
    }
}
