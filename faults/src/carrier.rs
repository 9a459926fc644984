//! How each fault is carried out, one file per back end.

mod contention;
mod delay_line;
mod disk_contention;
mod disk_latency;
mod disk_limit;
mod disk_window;
mod duty;
mod duty_quota;
mod group_quota;
mod kill;
mod line;
mod link_probe;
mod memory;
mod memory_contention;
mod partition;
mod pause;
mod placement;
mod qdisc;
mod redirect;
mod repeated_pause;
mod synced_write;
mod tap_line;
mod window;

use node::cgroup::{Child, DiskLimit, NodeCgroup};
use node::journal::{Journal, Undo};

use crate::available::Backend;
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::impairment::Impairment;
use crate::process::{HelperProcess, HelperProgram};
use crate::reading::Reading;
use crate::spec::FaultType;
use crate::standing::Standing;

/// One fault on one node, by one back end.
pub(crate) trait Carrier: Send {
    /// Makes the node slow; the undo of each change is in the journal before it. Says what was set, in absolute values.
    fn inject(&mut self) -> Result<String, FaultError>;

    /// Starts to measure anew.
    fn mark(&mut self) {}

    /// Measures, over the time since the last mark.
    fn probe(&mut self) -> Result<Vec<Reading>, FaultError>;

    /// Restores what was before; fine when nothing is in.
    fn clear(&mut self) -> Result<(), FaultError>;
}

/// The carrier of `kind` by `backend`.
///
/// # Errors
/// The context lacks what the back end needs, or the parameters do not fit this node.
pub(crate) fn carrier(
    kind: &FaultType,
    backend: Backend,
    context: &FaultContext,
) -> Result<Box<dyn Carrier>, FaultError> {
    let impaired = |impairment| impairing(impairment, backend, context);
    Ok(match (kind, backend) {
        (FaultType::CpuQuota(quota), Backend::CgroupQuota) => {
            Box::new(group_quota::GroupQuota::new(quota, context)?)
        }
        (FaultType::CpuQuota(quota), _) => Box::new(duty_quota::DutyQuota::new(quota, context)?),
        (FaultType::CpuContention(contention), _) => {
            Box::new(contention::Contention::new(contention, context)?)
        }
        (FaultType::MemoryLimit(limit), backend) => {
            Box::new(memory::Memory::new(limit, backend, context)?)
        }
        (FaultType::MemoryContention(contention), _) => Box::new(
            memory_contention::MemoryContention::new(contention, context)?,
        ),
        (FaultType::DiskThroughput(throughput), backend) => {
            let limit = DiskLimit::Bytes(throughput.rate.per_second().0);
            let name = kind.name();
            Box::new(disk_limit::DiskLimit::new(name, limit, backend, context)?)
        }
        (FaultType::DiskIops(iops), backend) => {
            let limit = DiskLimit::Operations(iops.rate.per_second() as u32);
            let name = kind.name();
            Box::new(disk_limit::DiskLimit::new(name, limit, backend, context)?)
        }
        (FaultType::DiskContention(contention), _) => {
            Box::new(disk_contention::DiskContention::new(contention, context)?)
        }
        (FaultType::DiskLatency(latency), _) => {
            Box::new(disk_latency::DiskLatency::new(latency, context)?)
        }
        (FaultType::NetDelay(delay), _) => impaired(Impairment::Delay(delay.clone()))?,
        (FaultType::NetLoss(loss), _) => impaired(Impairment::Loss(loss.clone()))?,
        (FaultType::NetReorder(reorder), _) => impaired(Impairment::Reorder(reorder.clone()))?,
        (FaultType::NetDuplicate(duplicate), _) => {
            impaired(Impairment::Duplicate(duplicate.clone()))?
        }
        (FaultType::NetCorrupt(corrupt), _) => impaired(Impairment::Corrupt(corrupt.clone()))?,
        (FaultType::NetRate(rate), _) => impaired(Impairment::Rate(rate.clone()))?,
        (FaultType::NetPartition(partition), _) => {
            Box::new(partition::Partition::new(partition, context)?)
        }
        (FaultType::ProcessKill(kill), _) => Box::new(kill::Kill::new(kill, context)?),
        (FaultType::ProcessPause(pause), _) => match (pause.length, pause.period) {
            (Some(length), Some(period)) => {
                Box::new(repeated_pause::RepeatedPause::new(length, period, context)?)
            }
            _ => Box::new(pause::Pause::new(context)?),
        },
    })
}

fn impairing(
    impairment: Impairment,
    backend: Backend,
    context: &FaultContext,
) -> Result<Box<dyn Carrier>, FaultError> {
    Ok(match backend {
        Backend::DelayLine => Box::new(delay_line::HubLine::new(impairment, context)?),
        Backend::TapLine => Box::new(tap_line::TapLine::new(impairment, context)?),
        _ => Box::new(qdisc::QdiscImpairment::new(impairment, backend, context)?),
    })
}

/// Starts a helper that competes with the server, in the node's group for that if there are groups. Its end is in the
/// journal before it gets its job.
fn start_beside(
    verb: &'static str,
    program: &HelperProgram,
    group: Option<&NodeCgroup>,
    journal: &Journal,
    standing: &mut Standing,
) -> Result<HelperProcess, FaultError> {
    let mut command = program.command(verb);
    if let Some(group) = group {
        group.admission(Child::Contention)?.admit(&mut command);
    }
    let helper = HelperProcess::start(verb, command)?;
    let process = helper.id()?;
    standing.add(journal.record(Undo::Kill { process })?);
    Ok(helper)
}

/// The node's groups, which the back end was chosen for.
fn group(fault: &'static str, context: &FaultContext) -> Result<NodeCgroup, FaultError> {
    context
        .cgroup
        .clone()
        .ok_or_else(|| FaultError::Unavailable {
            fault,
            reason: "the node was started without cgroups of its own".to_owned(),
        })
}
