use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::JournalError;
use super::entry::Purpose;
use super::store;
use crate::identity::ProcessId;

/// The name of an owner's directory in the journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerName(String);

impl OwnerName {
    pub(super) fn of_dir(dir: &Path) -> OwnerName {
        let name = dir.file_name().unwrap_or_default();
        OwnerName(name.to_string_lossy().into_owned())
    }

    /// Whether the process that opened the journal, the guardian, may live: as far as its name tells from here.
    pub(super) fn may_live(&self) -> bool {
        let readings = self.processes();
        readings.is_empty()
            || readings
                .iter()
                .any(|process| process.is_alive() && !is_zombie(process.pid))
    }

    /// The processes that the name may mean: number and start time are last, or one before the last, as a second journal
    /// of the same process has a number behind them.
    fn processes(&self) -> Vec<ProcessId> {
        let parts: Vec<&str> = self.0.rsplit('-').take(3).collect();
        parts
            .windows(2)
            .filter_map(|pair| {
                Some(ProcessId {
                    pid: pair[1].parse().ok()?,
                    start_ticks: pair[0].parse().ok()?,
                })
            })
            .collect()
    }
}

impl fmt::Display for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a process only waits for its parent to ask how it ended: it holds nothing any more.
fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// An owner of this process, its lock held.
#[derive(Debug)]
pub(super) struct Owner {
    name: OwnerName,
    dir: PathBuf,
    purpose: Purpose,
    _lock: Lock,
}

impl Owner {
    pub(super) fn open(journal: &Path, purpose: &Purpose) -> Result<Owner, JournalError> {
        private_dirs(journal).map_err(JournalError::file("make", journal))?;
        // Guardian and agent may each go to another working directory.
        let journal = &fs::canonicalize(journal).map_err(JournalError::file("find", journal))?;
        let gate = Gate::enter(journal)?;
        let process = ProcessId::current().map_err(JournalError::Identity)?;
        let base = format!(
            "{}-{}-{}-{}",
            purpose.run, purpose.node, process.pid, process.start_ticks
        );
        let (name, dir) = new_dir(journal, &base)?;
        let lock = Lock::create(&dir.join(LOCK))?;
        // An entry is on disk only if all directories above it are.
        store::sync_dir(journal).map_err(JournalError::file("sync", journal))?;
        drop(gate);
        Ok(Owner {
            name: OwnerName(name),
            dir,
            purpose: purpose.clone(),
            _lock: lock,
        })
    }

    pub(super) fn name(&self) -> &OwnerName {
        &self.name
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    pub(super) fn remove_if_empty(&self) -> Result<(), JournalError> {
        remove_if_empty(&self.dir)
    }
}

pub(super) const LOCK: &str = "lock";
const GATE: &str = "gate";

/// The journal's own lock, held for the moments in which owners are made or looked through, so that a heal never takes
/// an owner that is just being made for a dead one.
pub(super) struct Gate {
    _file: Flock<File>,
}

impl Gate {
    pub(super) fn enter(journal: &Path) -> Result<Gate, JournalError> {
        let path = journal.join(GATE);
        let file = lock_file(OpenOptions::new().create(true), &path)
            .map_err(JournalError::file("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(file) => Ok(Gate { _file: file }),
            Err((_, error)) => Err(JournalError::file("lock", &path)(error.into())),
        }
    }
}

/// The lock of one owner, freed when the last descriptor of its open file description is closed.
#[derive(Debug)]
pub(super) struct Lock {
    // Never unlocked by hand: in the agent that would free the guardian's lock as well.
    _file: File,
}

impl Lock {
    fn create(path: &Path) -> Result<Lock, JournalError> {
        let file = lock_file(OpenOptions::new().create_new(true), path)
            .map_err(JournalError::file("make", path))?;
        flock(&file).map_err(JournalError::file("lock", path))?;
        Ok(Lock { _file: file })
    }

    /// Takes the lock of an owner that is dead; `None` if it is alive or just being healed.
    pub(super) fn take(path: &Path) -> io::Result<Option<Lock>> {
        let file = lock_file(&mut OpenOptions::new(), path)?;
        match flock(&file) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn flock(file: &File) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: a system call on a descriptor that is open for the whole call. `nix::fcntl::Flock` would unlock in
    // `drop`, for every process that shares the open file description.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn lock_file(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
        .open(path)
}

fn private_dirs(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn new_dir(journal: &Path, base: &str) -> Result<(String, PathBuf), JournalError> {
    for number in 1_u32.. {
        let name = match number {
            1 => base.to_owned(),
            _ => format!("{base}-{number}"),
        };
        let dir = journal.join(&name);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok((name, dir)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(JournalError::file("make", &dir)(error)),
        }
    }
    unreachable!("a process opens fewer than 2^32 journals")
}

/// Removes an owner's directory whose lock is held by the caller, unless an entry still stands.
pub(super) fn remove_if_empty(dir: &Path) -> Result<(), JournalError> {
    if !store::list(dir)?.is_empty() {
        return Ok(());
    }
    store::forget(&dir.join(LOCK))?;
    match fs::remove_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(JournalError::file("remove", dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whether_its_process_may_live() {
        let ProcessId { pid, start_ticks } = ProcessId::current().unwrap();
        let gone = start_ticks + 1;
        for node in ["s2", "7", "rack-3"] {
            for second in ["", "-2"] {
                let name = |ticks| OwnerName(format!("run-T1Z-{node}-{pid}-{ticks}{second}"));
                assert!(name(start_ticks).may_live(), "{}", name(start_ticks));
                assert!(!name(gone).may_live(), "{}", name(gone));
            }
        }
        assert!(OwnerName("nothing-of-ours".to_owned()).may_live());
    }
}
