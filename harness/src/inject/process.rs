//! A fault on a process of this machine.

use std::future::Future;

use faults::{Availability, FaultType, Flow, Wiring, available};
use vocab::units::Span;

use super::{InjectError, Told, session};
use crate::agent::wire::FaultOrder;
use crate::cluster::{Adopted, Settings};

/// Takes the process with this number into groups of depbench, makes it slow until its time is over or it is to stop,
/// and gives it back. Whatever is killed meanwhile, an agent or its guardian gives it back, or `depbench heal`.
///
/// # Errors
/// There is no such process, it belongs to a run, or the fault is not possible here. Nothing is changed then.
pub async fn inject(
    pid: i32,
    kind: &FaultType,
    length: Option<Span>,
    settings: &Settings,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Told),
) -> Result<(), InjectError> {
    let facts = node::facts::Facts::gather().map_err(|error| {
        InjectError::Fault(format!("cannot find out about this machine: {error}"))
    })?;
    if let Availability::No { reason, nearest } = available(kind, &facts, Wiring::Shared) {
        let reason = match kind.is_of_the_network() {
            true => "it shares the links it sends over with the rest of its network".to_owned(),
            false => reason,
        };
        let no = Availability::No { reason, nearest };
        return Err(InjectError::Fault(format!("{kind} on process {pid}: {no}")));
    }
    let adopted = Adopted::take(pid, settings).await?;
    let node = adopted.node();
    let order = FaultOrder {
        fault: "inject".parse().expect("a name"),
        kind: kind.clone(),
        victim: node.name().clone(),
        address: node.address(),
        flow: Flow::default(),
    };
    let done = session(node, order, length, stop, &mut tell).await;
    let given_back = adopted.give_back().await;
    done?;
    Ok(given_back?)
}
