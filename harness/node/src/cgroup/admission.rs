use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

/// A way into a group for processes that are about to be started: they are born in it, so that not even their first
/// instruction escapes its limits.
#[derive(Debug, Clone)]
pub struct Admission(Arc<[OwnedFd]>);

impl Admission {
    pub(super) fn new(members: Vec<OwnedFd>) -> Admission {
        Admission(members.into())
    }

    /// Moves the calling process into the group. Makes system calls only: may be called between fork and exec.
    ///
    /// # Errors
    /// When the kernel refuses, as with a cpuset without processors.
    pub fn enter(&self) -> io::Result<()> {
        let myself = b"0";
        for members in self.0.iter() {
            // SAFETY: the descriptor is open and the buffer outlives the call.
            let written =
                unsafe { libc::write(members.as_raw_fd(), myself.as_ptr().cast(), myself.len()) };
            if written < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Makes `command` start inside the group.
    pub fn admit(&self, command: &mut Command) {
        let admission = self.clone();
        // SAFETY: between fork and exec only `write` is called.
        unsafe {
            command.pre_exec(move || admission.enter());
        }
    }
}
