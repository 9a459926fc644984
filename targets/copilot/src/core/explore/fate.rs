//! What else happens to replicas: they hear of decisions, and restart.

use std::rc::Rc;

use super::World;
use super::event::Event;
use super::steps::Steps;
use crate::core::*;

impl Steps<'_> {
    /// A replica hears of a decision.
    pub(super) fn learn(&self, out: &mut Vec<World>) {
        for (place @ (role, index), choice) in &self.world.chosen {
            for id in self.world.ids() {
                for arrived in self.before(Event::Commit(*place), id) {
                    let commit = Commit {
                        choice: choice.clone(),
                        dep_seen: None,
                    };
                    let mut world = self.world.with([arrived]);
                    world.learners += 1;
                    if world.at(id).commit(*role, *index, commit) {
                        out.push(world);
                    }
                }
            }
        }
    }

    /// A pilot restarts: it goes on with none of its attempts, but what it said is on its disk.
    pub(super) fn restart(&self, out: &mut Vec<World>) {
        for role in Role::BOTH {
            let me = ReplicaId(role as u32);
            for arrived in self.before(Event::Restart, me) {
                let mut world = self.world.with([arrived]);
                world.restarts += 1;
                world.proposed[role as usize] = u64::MAX;
                for drive in &mut world.drives {
                    Rc::make_mut(drive).over |= drive.place.0 == role;
                }
                if self.rules.forgets_mark {
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
