use results::ProbeMoment;
use vocab::time::Monotonic;
use vocab::units::Span;

use super::{Node, THOROUGH};
use crate::agent::wire::{FaultOrder, Request, Response};
use crate::cluster::error::NodeError;

/// When a fault was asked for and when it was in force, by this machine's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// When the agent began.
    pub commanded: Monotonic,
    /// When the fault was in force.
    pub effective: Monotonic,
    /// By which means, and what was set in absolute values.
    pub detail: String,
}

impl Node {
    /// Makes a node slow; this one is the injection site. The agent clears the fault itself when `lease` is over.
    ///
    /// # Errors
    /// When the fault cannot be injected here.
    pub async fn inject(&self, order: FaultOrder, lease: Span) -> Result<Injected, NodeError> {
        match self.ask(Request::Inject { order, lease }, THOROUGH).await? {
            Response::Injected {
                commanded,
                effective,
                detail,
            } => Ok(Injected {
                commanded: self.local_time(commanded),
                effective: self.local_time(effective),
                detail,
            }),
            other => Err(self.off_topic(&other)),
        }
    }

    /// Measures whether a fault bites. Takes as long as the fault's probe does.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub async fn probe(
        &self,
        order: FaultOrder,
        moment: ProbeMoment,
    ) -> Result<Vec<faults::Reading>, NodeError> {
        match self.ask(Request::Probe { order, moment }, THOROUGH).await? {
            Response::Readings(readings) => Ok(readings),
            other => Err(self.off_topic(&other)),
        }
    }

    /// Undoes a fault.
    ///
    /// # Errors
    /// When it cannot be undone; the guardian tries again when the agent ends.
    pub async fn clear(&self, order: FaultOrder) -> Result<(), NodeError> {
        match self.ask(Request::Clear { order }, THOROUGH).await? {
            Response::Done => Ok(()),
            other => Err(self.off_topic(&other)),
        }
    }
}
