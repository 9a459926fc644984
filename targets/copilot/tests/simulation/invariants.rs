//! What must hold at every moment, whatever goes wrong.

use std::collections::BTreeMap;

use depfast_copilot::ReplicaId;
use depfast_copilot::core::{Acceptor, Both, Index, Role, View};

use crate::cluster::Cluster;
use crate::entries::{Entries, Seen};
use crate::kept::Kept;
use crate::order::{Decisions, Order};

/// What has been seen so far.
#[derive(Default)]
pub(crate) struct Invariants {
    decisions: Decisions,
    /// Up to where somebody has executed each log.
    executed: Both<Index>,
    /// How many commands were executed, and which in which order.
    digests: BTreeMap<u64, u64>,
    views: BTreeMap<(Role, ReplicaId), (u64, ReplicaId)>,
    pilots: BTreeMap<(Role, u64, ReplicaId), View>,
    kept: Kept,
    compactions: BTreeMap<(ReplicaId, u64), u64>,
    entries: Entries,
}

impl Invariants {
    /// Looks at all running replicas.
    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        let mut replicas = cluster.running();
        // A crash may undo what nobody was told yet.
        replicas.retain(|(_, copilot)| copilot.is_durable());
        for (id, copilot) in &replicas {
            let (id, life) = (*id, cluster.starts(*id));
            self.compactions.insert((id, life), copilot.compactions());
            copilot.inspect(|core, machine| {
                self.check_agreement(id, core)?;
                self.check_views(id, core)?;
                self.kept.check(id, core)?;
                for role in Role::BOTH {
                    self.executed[role] = self.executed[role].max(core.log(role).executed());
                }
                let known = self.digests.entry(machine.applied);
                let known = *known.or_insert(machine.digest);
                if known == machine.digest {
                    Ok(())
                } else {
                    let applied = machine.applied;
                    Err(format!(
                        "{id} executed another sequence of {applied} commands"
                    ))
                }
            })?;
        }
        self.entries.check(&replicas)?;
        self.check_pairs()
    }

    /// I1: nobody ever decides something else at the same place.
    fn check_agreement(&mut self, id: ReplicaId, core: &Acceptor) -> Result<(), String> {
        for role in Role::BOTH {
            let log = core.log(role);
            for index in log.base().until(log.last()) {
                let Some(commit) = core.decision(role, index) else {
                    continue;
                };
                let known = self.decisions[role].entry(index);
                let known = known.or_insert_with(|| commit.choice.clone());
                if *known != commit.choice {
                    return Err(format!(
                        "agreement: {role} {index} is {known:?} but {id} says {:?}",
                        commit.choice
                    ));
                }
            }
        }
        Ok(())
    }

    /// I8 for views: they go only forward, also over restarts, and each begins at one place.
    fn check_views(&mut self, id: ReplicaId, core: &Acceptor) -> Result<(), String> {
        for role in Role::BOTH {
            let standing = core.standing(role);
            let name = standing.promised.max(standing.current.name());
            let before = self.views.insert((role, id), name);
            if before.is_some_and(|before| before > name) {
                return Err(format!("{id} went back from view {before:?} to {name:?}"));
            }
            let View { number, pilot, .. } = standing.current;
            let known = *self
                .pilots
                .entry((role, number, pilot))
                .or_insert(standing.current);
            if known != standing.current {
                return Err(format!(
                    "{known} and {} are the same view",
                    standing.current
                ));
            }
        }
        Ok(())
    }

    /// I3: of any two entries that do something, at least one covers the other.
    pub(crate) fn check_pairs(&self) -> Result<(), String> {
        let real = |role: Role| {
            self.decisions[role]
                .iter()
                .filter(|(_, choice)| choice.value.is_some())
                .map(|(index, choice)| (*index, choice.dep))
                .collect::<Vec<_>>()
        };
        let (pilot, copilot) = (real(Role::Pilot), real(Role::Copilot));
        // The least dependency of the copilot's entries from each one on.
        let mut least = vec![Index(u64::MAX); copilot.len() + 1];
        for (place, (_, dep)) in copilot.iter().enumerate().rev() {
            least[place] = least[place + 1].min(*dep);
        }
        for (i, dep) in pilot {
            let uncovered = copilot.partition_point(|(k, _)| *k <= dep);
            if least[uncovered] < i {
                return Err(format!(
                    "pair: pilot {i} depends on {dep}, and a later entry misses it"
                ));
            }
        }
        Ok(())
    }

    /// I5: all that was executed is in the order of the decisions. Returns how many states of replicas were compared.
    pub(crate) fn check_order(&self) -> Result<u64, String> {
        Order::of(&self.decisions, &self.executed)?.check(&self.digests, &self.executed)
    }

    /// How many states of replicas there were to compare.
    pub(crate) fn states(&self) -> u64 {
        self.digests.len() as u64
    }

    /// How often the rarer invariants had something to say.
    pub(crate) const fn seen(&self) -> Seen {
        self.entries.seen()
    }

    /// How often log files were replaced.
    pub(crate) fn compactions(&self) -> u64 {
        self.compactions.values().sum()
    }

    pub(crate) fn decided(&self) -> usize {
        Role::BOTH
            .iter()
            .map(|role| self.decisions[*role].len())
            .sum()
    }

    /// Views that began after the first ones.
    pub(crate) fn views(&self) -> usize {
        self.pilots
            .keys()
            .filter(|(_, number, _)| *number > 0)
            .count()
    }

    /// Decisions on nothing.
    pub(crate) fn noops(&self) -> usize {
        let noops = |role: &Role| {
            self.decisions[*role]
                .values()
                .filter(|choice| choice.value.is_none())
                .count()
        };
        Role::BOTH.iter().map(noops).sum()
    }
}
