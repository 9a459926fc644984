use std::process::ExitCode;

/// How a command ends; scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done, and everything expected holds.
    Pass,
    /// Something that the experiment expects is not so, or a history is not linearizable.
    AssertionFailed,
    /// The trials do not say whether what is expected holds, or are invalid.
    Inconclusive,
    /// The experiment file or the command line is wrong; nothing was done.
    FileWrong,
    /// A node, a program or a file could not be used.
    InfrastructureFailed,
    /// Ctrl-C or a termination signal, after everything was undone.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Pass => 0,
            Exit::AssertionFailed => 1,
            Exit::Inconclusive => 2,
            Exit::FileWrong => 3,
            Exit::InfrastructureFailed => 4,
            Exit::Interrupted => 130,
        })
    }
}
