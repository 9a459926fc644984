use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::ResultsError;

/// A file that grows by whole lines; every error names it.
pub(super) struct LineFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl LineFile {
    pub(super) fn create(path: &Path) -> Result<LineFile, ResultsError> {
        let file = File::create(path).map_err(ResultsError::write(path))?;
        Ok(LineFile {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 16, file),
        })
    }

    /// Writes through `write`, which must end with a line's end.
    pub(super) fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), ResultsError> {
        write(&mut self.file).map_err(ResultsError::write(&self.path))
    }

    /// Hands everything to the kernel: a crash of this process loses nothing of it.
    pub(super) fn flush(&mut self) -> Result<(), ResultsError> {
        self.file.flush().map_err(ResultsError::write(&self.path))
    }

    /// Puts everything on the disk: a crash of the machine loses nothing of it.
    pub(super) fn sync(&mut self) -> Result<(), ResultsError> {
        self.flush()?;
        self.file
            .get_ref()
            .sync_all()
            .map_err(ResultsError::write(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let mut full = LineFile::create(Path::new("/dev/full")).unwrap();
        let result = full
            .write(|out| out.write_all(b"line\n"))
            .and_then(|()| full.flush());
        let message = result.unwrap_err().to_string();
        assert!(message.contains("cannot write /dev/full"), "{message}");
        assert!(message.contains("No space left"), "{message}");
    }
}
