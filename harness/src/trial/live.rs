use results::Interval;
use vocab::ids::Phase;
use vocab::time::TrialTime;

/// What a person who watches a trial is told.
#[derive(Debug)]
pub enum Live<'a> {
    /// What is going on before and after the load.
    Doing(&'a str),
    /// A phase begins.
    Phase(Phase),
    /// A stretch of load is over: one interval per kind of operation.
    Interval(&'a Interval),
    /// Something happened.
    Event {
        /// When.
        at: TrialTime,
        /// What, in words.
        what: &'a str,
    },
}
