use std::io;
use std::path::{Path, PathBuf};

/// A run's files could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A file or directory could not be made or written.
    #[error("cannot write {}: {source}; check free space and permissions there", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or directory could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}{}: {message}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line from 1, where known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// A run cannot be made where something is already.
    #[error("{} already exists; give another directory, or continue the run in it with --resume", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A directory that holds no run.
    #[error("{} holds no run: it has no {missing}; give the directory that `depbench run` printed", path.display())]
    NoRun {
        /// The directory.
        path: PathBuf,
        /// The file that is not there.
        missing: &'static str,
    },
    /// A trial that ran to its end is never written over.
    #[error("{} holds a complete trial, which is never overwritten; remove it to run it again", path.display())]
    TrialComplete {
        /// Its directory.
        path: PathBuf,
    },
    /// A cell's name that would lead out of the run's directory.
    #[error(
        "`{cell}` cannot name a directory; expected 1 to 200 characters other than `.` and `..`"
    )]
    CellName {
        /// The name.
        cell: String,
    },
}

impl ResultsError {
    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> ResultsError {
        let path = path.to_owned();
        move |source| ResultsError::Write { path, source }
    }

    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> ResultsError {
        let path = path.to_owned();
        move |source| ResultsError::Read { path, source }
    }

    pub(crate) fn malformed(
        path: &Path,
        line: Option<u64>,
        message: &dyn ToString,
    ) -> ResultsError {
        ResultsError::Malformed {
            path: path.to_owned(),
            line,
            message: message.to_string(),
        }
    }
}
