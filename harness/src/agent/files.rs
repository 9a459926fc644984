//! Files of the node, for the controller.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::wire::{DirEntry, MAX_PAYLOAD};

/// Writes `content` at `offset`; offset 0 creates or empties the file and makes missing directories above it.
pub(super) fn put(path: &Path, offset: u64, mode: u32, content: &[u8]) -> Result<(), String> {
    let write = || -> io::Result<()> {
        if offset == 0
            && let Some(dir) = path.parent()
        {
            fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(offset == 0)
            .truncate(offset == 0)
            .mode(mode & 0o777)
            .open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(content)
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Reads one payload from `offset`; fewer bytes only at the end.
pub(super) fn get(path: &Path, offset: u64) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut content = Vec::new();
        file.take(MAX_PAYLOAD as u64).read_to_end(&mut content)?;
        Ok(content)
    };
    read().map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Names what is in a directory, sorted.
pub(super) fn list(path: &Path) -> Result<Vec<DirEntry>, String> {
    let read = || -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let bytes = metadata.is_file().then_some(metadata.len());
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                bytes,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    };
    read().map_err(|error| format!("cannot list {}: {error}", path.display()))
}

/// Empties a directory.
pub(super) fn wipe(dir: &Path) -> Result<(), String> {
    let wipe = || -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
        Ok(())
    };
    wipe().map_err(|error| format!("cannot empty {}: {error}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_travel_in_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        put(&path, 0, 0o600, b"hello").unwrap();
        put(&path, 5, 0o600, b" world").unwrap();
        assert_eq!(get(&path, 0).unwrap(), b"hello world");
        assert_eq!(get(&path, 6).unwrap(), b"world");
        assert_eq!(get(&path, 99).unwrap(), b"");
        put(&path, 0, 0o600, b"new").unwrap();
        assert_eq!(get(&path, 0).unwrap(), b"new");
        assert!(
            put(&dir.path().join("none"), 5, 0o600, b"x")
                .unwrap_err()
                .contains("cannot write")
        );
        let entries = list(&dir.path().join("a")).unwrap();
        assert_eq!(
            entries,
            [DirEntry {
                name: "b".into(),
                bytes: Some(3)
            }]
        );
        wipe(dir.path()).unwrap();
        assert!(list(dir.path()).unwrap().is_empty());
    }
}
