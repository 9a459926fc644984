use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use super::Mode;
use crate::agent::wire::{Budget, Disk, Layer, Prepare};
use crate::cluster::node::Purpose;
use crate::cluster::spec::{BudgetSpec, Cpus, DiskSpec, LocalSpec, PinSpec};

/// The least budget: the kernel hands out no less than 1 ms per period of 10 ms.
const LEAST_BUDGET: f64 = 0.1;

/// How the machine is shared out between nodes.
///
/// With budgets, all servers together get **half the machine**, in equal parts; clients, hub, agents and controller have
/// the other half and no limit. So the servers never compete with each other nor with the load, whatever they do, and a
/// server that is slowed down frees nothing for the others. They are then **not pinned**: on a machine with two CPUs all
/// servers would have to share one, and the one that spins would keep the others waiting for its whole time slice,
/// although each stays within its budget; over both CPUs there is always one that is free.
///
/// Without budgets (measurements of speed, or no privilege) servers get the first half of the CPUs and all else the
/// second, so that the load generator and the servers do not disturb each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shares {
    server_budget: Budget,
    other_budget: Budget,
    server_cpus: Vec<u32>,
    other_cpus: Vec<u32>,
    server_disk: Disk,
    server_layer: Layer,
}

impl Shares {
    pub(super) fn of(spec: &LocalSpec, mode: Mode) -> Shares {
        Shares::of_cpus(spec, mode, &allowed_cpus())
    }

    fn of_cpus(spec: &LocalSpec, mode: Mode, cpus: &[u32]) -> Shares {
        let grouped = mode == Mode::Root;
        let each = cpus.len() as f64 / 2.0 / f64::from(spec.servers.get());
        let server_budget = match spec.budget {
            _ if !grouped => Budget::NoGroups,
            BudgetSpec::None => Budget::Unlimited,
            BudgetSpec::Auto => {
                Cpus::new(each.max(LEAST_BUDGET)).map_or(Budget::Unlimited, Budget::Limited)
            }
            BudgetSpec::Each(cpus) => Budget::Limited(cpus),
        };
        let budgeted = matches!(server_budget, Budget::Limited(_));
        let split = match spec.pin {
            PinSpec::Split => true,
            PinSpec::None => false,
            PinSpec::Auto => !budgeted,
        };
        // One CPU cannot be split.
        let (server_cpus, other_cpus) = match split && cpus.len() > 1 {
            true => (
                cpus[..cpus.len() / 2].to_vec(),
                cpus[cpus.len() / 2..].to_vec(),
            ),
            false => (Vec::new(), Vec::new()),
        };
        let server_disk = match spec.disk {
            DiskSpec::Own(size) if grouped => Disk::Own(size),
            DiskSpec::Own(_) | DiskSpec::Shared => Disk::Shared,
        };
        let other_budget = if grouped {
            Budget::Unlimited
        } else {
            Budget::NoGroups
        };
        Shares {
            server_budget,
            other_budget,
            server_cpus,
            other_cpus,
            server_disk,
            server_layer: Layer::None,
        }
    }

    /// The same with something over the servers' data.
    pub(super) fn with_layer(self, layer: Layer) -> Shares {
        Shares {
            server_layer: layer,
            ..self
        }
    }

    /// What a node of this purpose gets.
    pub(super) fn for_node(&self, purpose: Purpose) -> Prepare {
        match purpose {
            Purpose::Server => Prepare {
                budget: self.server_budget,
                cpus: self.server_cpus.clone(),
                disk: self.server_disk.clone(),
                layer: self.server_layer,
            },
            Purpose::Client => Prepare {
                budget: self.other_budget,
                cpus: self.other_cpus.clone(),
                disk: Disk::Shared,
                layer: Layer::None,
            },
            // The delay line needs real-time priority, which a group of version 1 would refuse.
            Purpose::Hub => Prepare {
                budget: Budget::NoGroups,
                cpus: self.other_cpus.clone(),
                disk: Disk::Shared,
                layer: Layer::None,
            },
        }
    }
}

/// The CPUs that this process may use.
fn allowed_cpus() -> Vec<u32> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return vec![0];
    };
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .map(|cpu| cpu as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use super::*;

    fn three() -> LocalSpec {
        LocalSpec::new(NonZeroU8::new(3).unwrap(), NonZeroU8::MIN)
    }

    #[test]
    fn budgets_leave_half_the_machine_to_the_clients() {
        let shares = Shares::of_cpus(&three(), Mode::Root, &[0, 1]);
        let Prepare {
            budget: Budget::Limited(cpus),
            cpus: pins,
            disk: Disk::Own(_),
            layer: Layer::None,
        } = shares.for_node(Purpose::Server)
        else {
            panic!("{shares:?}")
        };
        assert!((cpus.get() - 1.0 / 3.0).abs() < 1e-9);
        assert!(pins.is_empty());
        assert_eq!(shares.for_node(Purpose::Client).budget, Budget::Unlimited);
        assert_eq!(shares.for_node(Purpose::Hub).budget, Budget::NoGroups);
    }

    #[test]
    fn without_budgets_servers_and_clients_are_kept_apart() {
        let spec = LocalSpec {
            budget: BudgetSpec::None,
            disk: DiskSpec::Shared,
            ..three()
        };
        let shares = Shares::of_cpus(&spec, Mode::Root, &[0, 1]);
        assert_eq!(shares.for_node(Purpose::Server).cpus, [0]);
        assert_eq!(shares.for_node(Purpose::Client).cpus, [1]);
        assert_eq!(shares.for_node(Purpose::Server).budget, Budget::Unlimited);
        assert_eq!(shares.for_node(Purpose::Server).disk, Disk::Shared);
        assert!(
            Shares::of_cpus(&spec, Mode::Root, &[0])
                .for_node(Purpose::Server)
                .cpus
                .is_empty()
        );
        let spec = LocalSpec {
            pin: PinSpec::None,
            ..spec
        };
        assert!(
            Shares::of_cpus(&spec, Mode::Root, &[0, 1])
                .for_node(Purpose::Client)
                .cpus
                .is_empty()
        );
    }

    #[test]
    fn without_privileges_there_are_no_groups() {
        let shares = Shares::of_cpus(&three(), Mode::User, &[0, 1]);
        let prepare = shares.for_node(Purpose::Server);
        assert_eq!(
            (prepare.budget, prepare.disk),
            (Budget::NoGroups, Disk::Shared)
        );
    }
}
