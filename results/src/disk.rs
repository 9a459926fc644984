//! The files of a run: how they are written so that they stay readable at every moment, and how they are read.

mod hlog;
mod line_file;
mod row_file;
mod rows;
mod run_dir;
mod trial_dir;
mod trial_writer;
mod whole_file;

pub use rows::IntervalRow;
pub use run_dir::RunDir;
pub use trial_dir::TrialDir;
pub use trial_writer::TrialWriter;

pub(crate) use rows::{milliseconds, optional};
pub(crate) use whole_file::replace;
