//! Files that are only ever seen whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ResultsError;

/// Puts `content` in the place of `path`: whoever reads sees the old or the new content, also after a crash.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), ResultsError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let written = File::create(beside)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(beside, path));
    if written.is_err() {
        // The half of a file that is left says nothing; that it cannot be removed says nothing new.
        let _ = fs::remove_file(beside);
    }
    written.map_err(ResultsError::write(path))
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ResultsError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| ResultsError::write(path)(error.into()))?;
    text.push('\n');
    replace(path, text.as_bytes())
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ResultsError> {
    let text = fs::read_to_string(path).map_err(ResultsError::read(path))?;
    serde_json::from_str(&text)
        .map_err(|error| ResultsError::malformed(path, Some(error.line() as u64), &error))
}

/// The whole lines of a file: a last line that a crash cut off is left out; a file that was never begun is empty.
pub(super) fn read_whole_lines(path: &Path) -> Result<Vec<u8>, ResultsError> {
    match fs::read(path) {
        Ok(mut bytes) => {
            let whole = bytes
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |last| last + 1);
            bytes.truncate(whole);
            Ok(bytes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(ResultsError::read(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        for (content, whole) in [("a\nb\nc", "a\nb\n"), ("a", ""), ("", ""), ("a\n", "a\n")] {
            fs::write(&path, content).unwrap();
            assert_eq!(read_whole_lines(&path).unwrap(), whole.as_bytes());
        }
        assert!(
            read_whole_lines(&dir.path().join("absent"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        let error = replace(&path, b"x").unwrap_err();
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
