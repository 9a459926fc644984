//! What else happens to replicas: they hear of decisions, and restart.

use super::{Rules, World};
use crate::core::*;

impl World {
    /// A replica hears of a decision.
    pub(super) fn learn(&self, out: &mut Vec<Self>) {
        for ((role, index), choice) in &self.chosen {
            for replica in &self.replicas {
                if replica.is_decided(*role, *index) {
                    continue;
                }
                let mut world = self.clone();
                world.learners += 1;
                let commit = Commit {
                    choice: choice.clone(),
                    dep_seen: None,
                };
                world.at(replica.me()).commit(*role, *index, commit);
                out.push(world);
            }
        }
    }

    /// A pilot restarts: it goes on with none of its attempts, but what it said is on its disk.
    pub(super) fn restart(&self, rules: &Rules, out: &mut Vec<Self>) {
        for role in Role::BOTH {
            let mut world = self.clone();
            let me = ReplicaId(role as u32);
            world.restarts += 1;
            world.proposed[role as usize] = u64::MAX;
            for drive in world
                .drives
                .iter_mut()
                .filter(|drive| drive.place.0 == role)
            {
                drive.over = true;
            }
            if rules.forgets_mark {
                let log = &mut world.at(me).logs[role];
                for index in Index::ZERO.until(log.last()) {
                    if let Some(entry) = log.get_or_make(index) {
                        entry.commit = None;
                    }
                }
                log.committed = Index::ZERO;
            }
            out.push(world);
        }
    }
}
