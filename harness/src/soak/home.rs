use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use node::journal::{self, JournalError, Report};
use vocab::ids::RunName;

use crate::cluster::StateDir;

/// What the name of every soak begins with.
const PREFIX: &str = "soak-";

/// A state directory of its own, so that a soak heals nothing of what else runs on the machine. Locked while the soak lives.
pub(super) struct Home {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Home {
    /// Makes one below the state directory of this user.
    pub(super) fn make(name: &RunName) -> io::Result<Home> {
        let path = below(&StateDir::of_this_user()).join(name.as_str());
        fs::create_dir_all(&path)?;
        let lock = lock(&path)?
            .ok_or_else(|| io::Error::other(format!("another soak works in {}", path.display())))?;
        Ok(Home { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, unless something there could not be undone: `heal` tries that again.
    pub(super) fn remove(self) -> Result<(), JournalError> {
        heal_and_remove(&self.path).map(drop)
    }
}

/// Undoes what soaks that were killed themselves have left, and removes their directories. A report for each.
///
/// # Errors
/// A journal cannot be read.
pub fn heal_abandoned(state: &StateDir) -> Result<Vec<Report>, JournalError> {
    let entries = fs::read_dir(below(state)).into_iter().flatten().flatten();
    let homes = entries
        .map(|entry| entry.path())
        .filter(|path| is_home(path));
    let mut reports = Vec::new();
    for home in homes {
        let Ok(Some(_lock)) = lock(&home) else {
            continue;
        };
        reports.push(heal_and_remove(&home)?);
    }
    Ok(reports)
}

fn heal_and_remove(home: &Path) -> Result<Report, JournalError> {
    let report = journal::heal(&home.join("journal"))?;
    if report.is_complete() && report.live.is_empty() {
        // One that cannot be removed holds nothing up; the next heal tries again.
        let _stays = fs::remove_dir_all(home);
    }
    Ok(report)
}

fn below(state: &StateDir) -> PathBuf {
    let journal = state.journal();
    journal.parent().map_or(journal.clone(), Path::to_owned)
}

fn is_home(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(PREFIX) && path.is_dir()
}

/// `None` while somebody else holds it.
fn lock(home: &Path) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(File::open(home)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}
