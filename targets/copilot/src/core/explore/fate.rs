//! What else happens to replicas: they hear of decisions, and restart.

use super::event::Event;
use super::{Rules, World};
use crate::core::*;

impl World {
    /// A replica hears of a decision.
    pub(super) fn learn(&self, rules: &Rules, out: &mut Vec<Self>) {
        for (place @ (role, index), choice) in &self.chosen {
            for id in self.ids() {
                for mut world in self.before(Event::Commit(*place), id, None, rules) {
                    let commit = Commit {
                        choice: choice.clone(),
                        dep_seen: None,
                    };
                    world.learners += 1;
                    if world.at(id).commit(*role, *index, commit) {
                        out.push(world);
                    }
                }
            }
        }
    }

    /// A pilot restarts: it goes on with none of its attempts, but what it said is on its disk.
    pub(super) fn restart(&self, rules: &Rules, out: &mut Vec<Self>) {
        for role in Role::BOTH {
            let me = ReplicaId(role as u32);
            for mut world in self.before(Event::Restart, me, None, rules) {
                world.restarts += 1;
                world.proposed[role as usize] = u64::MAX;
                for drive in &mut world.drives {
                    drive.over |= drive.place.0 == role;
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
}
