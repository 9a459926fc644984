//! Which boot, which process: identities that are never given out twice.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// One boot of one kernel; kernel state (cgroups, qdiscs, namespaces, processes) lives no longer than it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(String);

impl BootId {
    /// The boot this process runs in.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> io::Result<BootId> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(BootId(text.trim().to_owned()))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A process of this boot and of the PID namespace of whoever holds this value: its number alone may be given to
/// another process, number and start time together never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process number.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
}

impl ProcessId {
    /// This process.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or shows another PID namespace than this process's own.
    pub fn current() -> io::Result<ProcessId> {
        let pid = nix::unistd::getpid().as_raw();
        let stat = fs::read_to_string("/proc/self/stat")?;
        if stat.split(' ').next() != Some(pid.to_string().as_str()) {
            return Err(io::Error::other(
                "/proc shows another PID namespace than this process's own",
            ));
        }
        Ok(ProcessId {
            pid,
            start_ticks: start_ticks(&stat)?,
        })
    }

    /// The process that has this number now; `None` if there is none.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(pid: i32) -> io::Result<Option<ProcessId>> {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => Ok(Some(ProcessId {
                pid,
                start_ticks: start_ticks(&stat)?,
            })),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether this very process still exists (a zombie does).
    pub fn is_alive(&self) -> bool {
        matches!(ProcessId::of(self.pid), Ok(Some(now)) if now == *self)
    }

    /// Sends `signal` to this very process, and never to another that was given its number.
    ///
    /// Returns whether it was still there.
    ///
    /// # Errors
    /// When the signal may not be sent.
    pub fn signal(&self, signal: Signal) -> io::Result<Delivery> {
        self.send(signal as i32)
    }

    /// Whether this very process is still there, and may be sent signals.
    ///
    /// # Errors
    /// When it may not.
    pub fn can_be_signalled(&self) -> io::Result<Delivery> {
        self.send(0)
    }

    fn send(&self, signal: i32) -> io::Result<Delivery> {
        let handle = match open_handle(self.pid) {
            Ok(handle) => handle,
            Err(error) if is_gone(&error) => return Ok(Delivery::Gone),
            Err(error) => return Err(error),
        };
        // The handle pins the process, so what is compared now is what gets the signal.
        if !self.is_alive() {
            return Ok(Delivery::Gone);
        }
        use std::os::fd::AsRawFd;
        // SAFETY: a system call on a descriptor that is open for the whole call.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                handle.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match sent {
            0 => Ok(Delivery::Sent),
            _ => match io::Error::last_os_error() {
                error if is_gone(&error) => Ok(Delivery::Gone),
                error => Err(error),
            },
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "process {} (started at tick {})",
            self.pid, self.start_ticks
        )
    }
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The process got it.
    Sent,
    /// The process had ended before.
    Gone,
}

fn open_handle(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: a system call with plain numbers; the descriptor it returns is owned by nobody else.
    unsafe {
        match libc::syscall(libc::SYS_pidfd_open, pid, 0) {
            fd if fd >= 0 => Ok(OwnedFd::from_raw_fd(fd as RawFd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether an error of a read under `/proc/PID` means that the process has ended.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold blanks and parentheses.
fn start_ticks(stat: &str) -> io::Result<u64> {
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19))
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("/proc/PID/stat has no start time in field 22"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_shift_the_fields() {
        let rest = (3..=52)
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(start_ticks(&format!("7 (a) 1 (b c)) {rest}")).unwrap(), 22);
        assert!(start_ticks("7 (short) S 1").is_err());
    }

    #[test]
    fn a_process_is_told_from_another_with_its_number() {
        let me = ProcessId::current().unwrap();
        assert!(me.is_alive());
        assert_eq!(ProcessId::of(me.pid).unwrap(), Some(me));
        let other = ProcessId {
            start_ticks: me.start_ticks + 1,
            ..me
        };
        assert!(!other.is_alive());
        assert_eq!(other.signal(Signal::SIGKILL).unwrap(), Delivery::Gone);
    }

    #[test]
    fn a_signal_reaches_a_child_and_is_gone_afterwards() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let id = ProcessId::of(child.id() as i32).unwrap().unwrap();
        assert_eq!(id.signal(Signal::SIGKILL).unwrap(), Delivery::Sent);
        child.wait().unwrap();
        assert_eq!(id.signal(Signal::SIGKILL).unwrap(), Delivery::Gone);
    }
}
