//! The programs behind the faults that need one. The `depbench` binary runs them as hidden verbs of itself.
//!
//! All live the same way: they do nothing until one line of JSON on stdin says what to do, answer with one line
//! on stdout when it takes effect, answer every further line with their state so far, and end, leaving nothing
//! changed, when stdin ends or a signal asks them to. So they never outlive the agent that started them, however it
//! ends.

pub mod delay_line;
pub mod disk_probe;
pub mod disk_writer;
pub mod duty_cycle;
pub mod latency_layer;
mod lifeline;
pub mod memory_toucher;
mod priority;
mod scratch;
pub mod spinner;

pub use priority::Priority;

/// The helper behind a verb: what a program must call that is started as [`crate::HelperProgram::myself`].
pub fn named(verb: &str) -> Option<fn() -> Result<(), HelperError>> {
    Some(match verb {
        "delay-line" => delay_line::main,
        "disk-probe" => disk_probe::main,
        "disk-writer" => disk_writer::main,
        "duty-cycle" => duty_cycle::main,
        "latency-layer" => latency_layer::main,
        "memory-toucher" => memory_toucher::main,
        "spinner" => spinner::main,
        _ => return None,
    })
}

/// Why a helper ended early.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// The first line is not a job.
    #[error("the first line on stdin must be a job for this helper")]
    Job(#[source] serde_json::Error),
    /// There was no first line.
    #[error("stdin ended before a job came")]
    NoJob,
    /// A system call failed.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl HelperError {
    fn system<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> HelperError {
        move |source| HelperError::System {
            what,
            source: source.into(),
        }
    }
}
