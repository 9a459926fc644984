//! Asking for a fault on demand, which ends with the connection.

use std::future::Future;

use faults::{FaultType, Place};
use serde::{Deserialize, Serialize};
use vocab::ids::RunName;
use vocab::units::Span;

use super::client::Controller;
use super::{Answer, Ask};
use crate::inject::{InjectError, Told};

/// A fault on demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The fault.
    pub kind: FaultType,
    /// One node by name, or a link.
    pub place: Place,
    /// Without it until the connection ends.
    pub length: Option<Span>,
}

/// Asks the controller of a run, and passes on what it tells until the fault is cleared. Dropping this clears it, too.
///
/// # Errors
/// The controller cannot be reached, or ends before the fault is cleared; or what it says went wrong.
pub async fn ask(
    run: &RunName,
    order: Order,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Told),
) -> Result<(), InjectError> {
    let mut controller = Controller::of(run)?;
    controller.send(&Ask::Fault(order)).await?;
    let mut stop = std::pin::pin!(stop);
    let (mut stopped, mut cleared) = (false, false);
    loop {
        let answer = tokio::select! {
            answer = controller.hear() => answer,
            () = &mut stop, if !stopped => {
                // The end of what is asked is the end of the fault.
                stopped = true;
                controller.finish().await?;
                continue;
            }
        };
        match answer {
            Ok(Answer::Fault(told)) => {
                cleared = told == Told::Cleared;
                tell(told);
            }
            Ok(Answer::Failed(reason)) => return Err(InjectError::Fault(reason)),
            Ok(other) => return Err(controller.odd(&other).into()),
            Err(error) if cleared && error.is_its_end() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
