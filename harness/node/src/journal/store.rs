//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::JournalError;
use super::entry::Header;

/// Writes entry number `sequence` and returns its path once it is safe on disk.
pub(super) fn write(dir: &Path, sequence: u64, header: &Header) -> Result<PathBuf, JournalError> {
    let text = serde_json::to_vec_pretty(header)
        .map_err(|error| JournalError::file("write an entry to", dir)(error.into()))?;
    let temporary = dir.join(format!("{sequence:06}.new"));
    let path = dir.join(format!("{sequence:06}.json"));
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_dir(dir)
    };
    write().map_err(JournalError::file("write", &path))?;
    Ok(path)
}

/// Forgets an entry. Not synced: an entry that comes back after a power cut is undone again, without harm.
pub(super) fn forget(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(JournalError::file("remove", path)),
    }
}

/// The entries that stand in an owner's directory, latest first.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::file("list", dir))? {
        let path = entry.map_err(JournalError::file("list", dir))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths.reverse();
    Ok(paths)
}

/// Removes what a crash in the middle of [`write`] left behind; the change it was for was never made.
pub(super) fn sweep_unfinished(dir: &Path) -> Result<(), JournalError> {
    for entry in fs::read_dir(dir).map_err(JournalError::file("list", dir))? {
        let path = entry.map_err(JournalError::file("list", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "new") {
            forget(&path)?;
        }
    }
    Ok(())
}

pub(super) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}
