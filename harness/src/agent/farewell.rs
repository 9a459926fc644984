//! How an agent ends.

use std::time::Duration;

use node::guardian::AgentSide;

use super::home::Home;
use super::process::kill_namespace;
use super::serve::Agent;
use super::wire::RequestId;

/// Why an agent ends.
pub(super) enum Reason {
    /// The controller said goodbye, with this request.
    Goodbye(RequestId),
    /// The controller closed the connection, or reads nothing any more.
    ControllerGone,
    /// The controller was silent for this long.
    LeaseOver(Duration),
    /// The controller sent what is no frame.
    Garbled(String),
    /// The guardian was killed: were the agent killed too, nobody would undo.
    GuardianDead,
    /// A signal asked for it.
    Signal(&'static str),
}

impl Reason {
    /// What to tell the controller, if it is still there and does not know.
    pub(super) fn told(&self) -> Option<String> {
        match self {
            Reason::Goodbye(_) | Reason::ControllerGone => None,
            Reason::LeaseOver(length) => Some(format!(
                "it heard nothing for {length:?}: the controller, or the way from it, stalled for longer than the lease; over \
                 SSH a longer `lease` survives that"
            )),
            Reason::Garbled(error) => {
                Some(format!("it was sent what it does not understand: {error}"))
            }
            Reason::GuardianDead => Some("its guardian was killed".to_owned()),
            Reason::Signal(name) => Some(format!("it got {name}")),
        }
    }

    /// The request to answer at the end.
    pub(super) fn goodbye(&self) -> Option<RequestId> {
        match self {
            Reason::Goodbye(id) => Some(*id),
            _ => None,
        }
    }
}

/// Undoes everything, in the order in which it depends on each other; gives what could not be undone, which the guardian
/// tries again, and the guardian's line.
pub(super) fn undo(agent: Agent) -> (Vec<String>, AgentSide) {
    let Agent {
        home: Home { options, side },
        machine,
        mut processes,
        mut faults,
        revivals,
        ..
    } = agent;
    // Who still waits for a server to start again is told that nobody will.
    drop(revivals);
    let mut problems = faults.clear_all();
    problems.extend(processes.stop_all());
    if !options.isolation.is_shared() {
        problems.extend(kill_namespace().err());
    }
    problems.extend(
        machine
            .map(super::machine::Machine::take_apart)
            .unwrap_or_default(),
    );
    match side.journal.heal_own() {
        Ok(report) => problems.extend(report.unhealed.iter().map(ToString::to_string)),
        Err(error) => problems.push(error.to_string()),
    }
    (problems, side)
}
