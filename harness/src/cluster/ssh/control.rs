use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use node::identity::ProcessId;

use crate::cluster::error::ClusterError;

/// The directory with the sockets of this controller's ssh connections: short, because a socket's path has at most 107
/// bytes; removed with this value, or by the next controller when this one was killed.
pub(super) struct ControlDir(PathBuf);

impl ControlDir {
    pub(super) fn for_sockets() -> Result<ControlDir, ClusterError> {
        ControlDir::make().map_err(|error| {
            ClusterError::Impossible(format!("cannot make a directory for ssh sockets: {error}"))
        })
    }

    fn make() -> io::Result<ControlDir> {
        let base = PathBuf::from(format!("/tmp/depbench-ssh-{}", geteuid()));
        match DirBuilder::new().mode(0o700).create(&base) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let found = fs::symlink_metadata(&base)?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
            return Err(io::Error::other(format!(
                "{} is not a directory of this account alone",
                base.display()
            )));
        }
        remove_dead(&base);
        let me = ProcessId::of(std::process::id() as i32)?
            .ok_or_else(|| io::Error::other("this process is not in /proc"))?;
        // Clusters of one process may follow each other.
        for number in 0..1000 {
            let path = base.join(format!("{}.{}.{number}", me.pid, me.start_ticks));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(ControlDir(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("a thousand clusters in one process"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ControlDir {
    fn drop(&mut self) {
        let _left_for_the_next = fs::remove_dir_all(&self.0);
        if let Some(base) = self.0.parent() {
            // Only when it is empty.
            let _others_are_there = fs::remove_dir(base);
        }
    }
}

/// Removes the directories of controllers that are dead. Their ssh masters end by themselves when they are idle.
fn remove_dead(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut numbers = name.split('.').map(str::parse::<u64>);
        let (Some(Ok(pid)), Some(Ok(start_ticks))) = (numbers.next(), numbers.next()) else {
            continue;
        };
        let alive = ProcessId::of(pid as i32)
            .ok()
            .flatten()
            .is_some_and(|found| found.start_ticks == start_ticks);
        if !alive {
            let _somebody_else_did = fs::remove_dir_all(entry.path());
        }
    }
}
