//! Network namespaces by descriptor: nothing under `/run/netns`, so nothing is left when the last holder ends.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns, unshare};

use crate::namespace::NetworkId;

/// An open network namespace; it lives at least as long as this value.
#[derive(Debug, Clone)]
pub struct NetNs(Arc<OwnedFd>);

impl NetNs {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> io::Result<NetNs> {
        NetNs::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// The namespace of process `pid`.
    ///
    /// # Errors
    /// When there is no such process, or its namespaces may not be looked at.
    pub fn of(pid: i32) -> io::Result<NetNs> {
        NetNs::open(Path::new(&format!("/proc/{pid}/ns/net")))
    }

    /// The namespace that a file stands for.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<NetNs> {
        Ok(NetNs(Arc::new(File::open(path)?.into())))
    }

    /// A new namespace with nothing in it but a loopback link that is down.
    ///
    /// # Errors
    /// `EPERM` without the privilege to make one.
    pub fn create() -> io::Result<NetNs> {
        on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            NetNs::current()
        })?
    }

    /// Which namespace this is.
    ///
    /// # Errors
    /// When it may not be entered.
    pub fn id(&self) -> io::Result<NetworkId> {
        self.run(NetworkId::current)?
    }

    /// Runs `work` on a thread of its own inside the namespace; this thread stays where it is.
    ///
    /// # Errors
    /// When the namespace may not be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_a_thread(|| {
            self.enter()?;
            Ok(work())
        })?
    }

    /// Moves the calling thread into the namespace; may be called between fork and exec.
    ///
    /// # Errors
    /// `EPERM` without the privilege to enter it.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET)?)
    }

    /// Makes `command` run inside the namespace.
    pub fn admit(&self, command: &mut Command) {
        let namespace = self.clone();
        // SAFETY: between fork and exec only `setns` is called.
        unsafe {
            command.pre_exec(move || namespace.enter());
        }
    }

    /// Lets the namespace route packets between its links.
    ///
    /// # Errors
    /// When it may not be entered or its settings not be written.
    pub fn enable_forwarding(&self) -> io::Result<()> {
        self.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for NetNs {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(value) => Ok(value),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
