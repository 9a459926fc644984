//! Faults on demand: on a node of a cluster that is up (asked of its controller, [`crate::control`]), or on any process of
//! this machine ([`process`]).

pub mod process;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use faults::Effect;
use results::ProbeMoment;
use serde::{Deserialize, Serialize};
use vocab::units::Span;

use crate::agent::wire::FaultOrder;
use crate::cluster::{ClusterError, Node, NodeError};
use crate::control::ControlError;

/// How long a fault works before it is asked whether it bites; less if it is in for less than twice that.
const PROBED_AFTER: Duration = Duration::from_secs(2);

/// A fault that nobody gave an end is cleared by its agent after this time, whatever becomes of the one who asked.
const FOR_EVER: Span = Span::seconds(7 * 24 * 3600);

/// What is told of a fault on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// It is in force: by which means, and what was set.
    Injected(String),
    /// What its probes prove.
    Judged(Effect),
    /// It is out of force.
    Cleared,
}

/// A fault on demand could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// The fault itself.
    #[error("{0}")]
    Fault(String),
    /// A node was lost.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The process could not be had, or not be given back.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The controller of the cluster cannot be spoken to.
    #[error(transparent)]
    Controller(#[from] ControlError),
}

/// Injects a fault, judges it, and clears it when its time is over or it is to stop, whichever is first.
///
/// # Errors
/// It cannot be probed, injected or cleared, or the node is lost.
pub(crate) async fn session(
    site: &Node,
    order: FaultOrder,
    length: Option<Span>,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Told),
) -> Result<(), NodeError> {
    let mut stop = pin!(stop);
    let before = site.probe(order.clone(), ProbeMoment::Before).await?;
    let lease = length.map_or(FOR_EVER, |length| {
        Span::from(length.duration() + Duration::from_secs(5))
    });
    let injected = site.inject(order.clone(), lease).await?;
    tell(Told::Injected(injected.detail));
    let begun = tokio::time::Instant::now();
    let time_over = async {
        match length {
            Some(length) => tokio::time::sleep_until(begun + length.duration()).await,
            None => std::future::pending().await,
        }
    };
    let mut time_over = pin!(time_over);
    let half = length.map_or(PROBED_AFTER, |length| length.duration() / 2);
    let probed = async {
        tokio::time::sleep(half.min(PROBED_AFTER)).await;
        site.probe(order.clone(), ProbeMoment::During).await
    };
    let judged = tokio::select! {
        () = &mut stop => None,
        during = probed => Some(during),
    };
    // What cannot be probed is cleared all the same.
    let probed = match judged {
        None => Ok(()),
        Some(Ok(during)) => {
            tell(Told::Judged(faults::effect(&order.kind, &before, &during)));
            tokio::select! {
                () = &mut stop => {}
                () = &mut time_over => {}
                _reason = site.until_lost() => {}
            }
            Ok(())
        }
        Some(Err(error)) => Err(error),
    };
    site.clear(order).await?;
    tell(Told::Cleared);
    probed
}
