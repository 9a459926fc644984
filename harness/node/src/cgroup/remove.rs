use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Tries of 10 ms each; the kernel keeps a group busy for about 100 ms after its last process ended.
const TRIES: u32 = 500;

/// Kills what is in the group at `path` and the groups in it, then removes them. A group that is gone is fine.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let mut result = Ok(());
    for _ in 0..TRIES {
        let groups = tree(path)?;
        if groups.is_empty() {
            return Ok(());
        }
        groups.iter().try_for_each(|group| kill_members(group))?;
        result = groups.iter().try_for_each(|group| remove_one(group));
        match &result {
            Ok(()) => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(_) => return result,
        }
        thread::sleep(Duration::from_millis(10));
    }
    result
}

/// The groups at and under `path`, innermost first; none if `path` is gone.
fn tree(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut groups = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            groups.extend(tree(&entry.path())?);
        }
    }
    groups.push(path.to_owned());
    Ok(groups)
}

fn kill_members(group: &Path) -> io::Result<()> {
    // Frozen processes do not die before they are thawed.
    for (file, thawed) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        let path = group.join(file);
        if path.exists() {
            gone_is_fine(fs::write(path, thawed))?;
        }
    }
    let members = match fs::read_to_string(group.join("cgroup.procs")) {
        Err(error) if is_gone(&error) => return Ok(()),
        members => members?,
    };
    let own = nix::unistd::getpid();
    for pid in members.lines().filter_map(|line| line.parse().ok()) {
        // 0 stands for a process of another PID namespace, which cannot be named from here.
        if pid > 0 && Pid::from_raw(pid) != own {
            match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                Ok(()) | Err(nix::Error::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn remove_one(group: &Path) -> io::Result<()> {
    gone_is_fine(fs::remove_dir(group))
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_gone(&error) => Ok(()),
        result => result,
    }
}

pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}
