use node::cgroup::{Child, NodeCgroup};

use crate::available::{Availability, Backend, available};
use crate::carrier::{Carrier, carrier};
use crate::context::FaultContext;
use crate::error::FaultError;
use crate::latency::Latency;
use crate::reading::Reading;
use crate::spec::FaultType;

/// One fault on one node, from the first probe to the last.
///
/// ```no_run
/// # use depbench_faults as faults;
/// # fn run(kind: faults::FaultType, context: &faults::FaultContext) -> Result<(), faults::FaultError> {
/// # use faults::{Fault, effect, residue};
/// let mut fault = Fault::prepare(&kind, context)?;
/// let before = fault.probe()?;
/// fault.inject()?;
/// let during = fault.probe()?;
/// fault.clear()?;
/// let after = fault.probe()?;
/// println!("{}", effect(&kind, &before, &during));
/// if let Some(left) = residue(&kind, &before, &after) {
///     println!("not quite cleared: {left}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// All calls block: [`Fault::probe`] for up to a third of a second, for faults of the disk up to one and a half, for `net.delay` up to a second and twice the delay;
/// the others for some milliseconds. Dropping the value clears the fault.
pub struct Fault {
    kind: FaultType,
    backend: Backend,
    carrier: Box<dyn Carrier>,
    group: Option<NodeCgroup>,
    is_in: bool,
}

/// What was done to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// By which means.
    pub backend: Backend,
    /// What was set, in absolute values.
    pub detail: String,
}

impl Fault {
    /// Chooses the back end and opens the first measuring window; changes nothing.
    ///
    /// # Errors
    /// It cannot be carried out here, there is no live server, or the parameters do not fit this node.
    pub fn prepare(kind: &FaultType, context: &FaultContext) -> Result<Fault, FaultError> {
        let backend = match available(kind, &context.facts, context.wiring) {
            // The machine has cgroups, but this node was started without.
            Availability::Yes {
                backend: Backend::CgroupQuota,
                ..
            } if context.cgroup.is_none() => Backend::DutyCycle,
            // What a run has for this fault is decided for all of its faults at once.
            Availability::Yes {
                backend: backend @ (Backend::DmDelay | Backend::LatencyLayer),
                ..
            } => context.latency.as_ref().map_or(backend, Latency::backend),
            Availability::Yes { backend, .. } => backend,
            Availability::No { reason, .. } => {
                let fault = kind.name();
                return Err(FaultError::Unavailable { fault, reason });
            }
        };
        Ok(Fault {
            kind: kind.clone(),
            backend,
            carrier: carrier(kind, backend, context)?,
            group: context.cgroup.clone(),
            is_in: false,
        })
    }

    /// What it is.
    pub fn kind(&self) -> &FaultType {
        &self.kind
    }

    /// By which means it is carried out.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Measures what tells whether the fault bites, over the time since it was prepared, injected or cleared, whichever
    /// was last.
    ///
    /// # Errors
    /// It cannot be measured, a program behind the fault has died, or somebody removed the server's group.
    pub fn probe(&mut self) -> Result<Vec<Reading>, FaultError> {
        self.check_group()?;
        self.carrier.probe()
    }

    /// Makes the node slow. The undo of each change is in the journal before it is made; when one of several changes
    /// fails, those before it are undone.
    ///
    /// # Errors
    /// It is in already, the server has ended or its group is gone, or the system refuses.
    pub fn inject(&mut self) -> Result<Injected, FaultError> {
        if self.is_in {
            let fault = self.kind.name();
            return Err(FaultError::AlreadyIn { fault });
        }
        self.check_group()?;
        match self.carrier.inject() {
            Ok(detail) => {
                self.is_in = true;
                self.carrier.mark();
                Ok(Injected {
                    backend: self.backend,
                    detail,
                })
            }
            Err(error) => {
                // The reason of the failure matters more; what cannot be undone now stays in the journal.
                let _ = self.carrier.clear();
                Err(error)
            }
        }
    }

    /// Without its group the server has neither its machine size nor the limits of faults.
    fn check_group(&self) -> Result<(), FaultError> {
        let checked = self.group.as_ref().map(|group| group.check(Child::Server));
        Ok(checked.unwrap_or(Ok(()))?)
    }

    /// Restores what was before the fault; fine when it is not in.
    ///
    /// # Errors
    /// Something could not be restored; it stays in the journal.
    pub fn clear(&mut self) -> Result<(), FaultError> {
        let was_in = std::mem::take(&mut self.is_in);
        self.carrier.clear()?;
        if was_in {
            self.carrier.mark();
        }
        Ok(())
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        // What cannot be undone now stays in the journal.
        let _ = self.carrier.clear();
    }
}
