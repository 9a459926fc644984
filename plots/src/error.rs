use std::io;
use std::path::PathBuf;

use results::ResultsError;

/// A run could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The run's files could not be read.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// A figure or the report could not be written.
    #[error("cannot write {}: {source}; check free space and permissions there", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A figure is too large to be a picture.
    #[error("cannot draw {name} as PNG: {width} x {height} pixels are too many")]
    TooLarge {
        /// Which figure.
        name: String,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// The report's template could not be filled.
    #[error("cannot write the report: {0}")]
    Template(String),
}
