//! How members come and go; see [`membership`](crate::membership).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use kv::{MemberChange, Refusal, Role, Ticket};

use super::{Change, Leading, Op, Progress};
use crate::config::Member;
use crate::membership::Group;
use crate::replica::Raft;
use crate::state::{Standing, State};
use crate::types::{LogIndex, ReplicaId, Term};

/// A new member that answers nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);

impl Raft {
    /// Begins a change of the members.
    pub(crate) fn change(&self, change: MemberChange, ticket: Ticket) {
        let mut state = self.state.borrow_mut();
        let group = Group::clone(state.membership.group());
        let leader = state.leader;
        let Standing::Leader(leading) = &mut state.standing else {
            return ticket.refuse(Refusal::NotLeader(leader));
        };
        if leading.changing.is_some() {
            return ticket.refuse(Refusal::Rejected(
                "another change of the members is under way",
            ));
        }
        if !leading.settled {
            return ticket.refuse(Refusal::Busy);
        }
        match change {
            MemberChange::Add { id, peer, client } => {
                let member = Member { peer, client };
                match group.get(&id) {
                    Some(known) if *known == member => ticket.ok(),
                    Some(_) => ticket.refuse(Refusal::Rejected(
                        "a member of this number has other addresses: remove it first",
                    )),
                    None => self.teach(&mut state, id, member, ticket),
                }
            }
            MemberChange::Remove(id) if !group.contains_key(&id) => ticket.ok(),
            MemberChange::Remove(_) if group.len() == 1 => {
                ticket.refuse(Refusal::Rejected("the last member cannot be removed"));
            }
            MemberChange::Remove(id) => {
                let mut group = BTreeMap::clone(&group);
                group.remove(&id);
                self.propose(leading, &group, ticket);
            }
        }
    }

    fn propose(&self, leading: &mut Leading, group: &BTreeMap<ReplicaId, Member>, ticket: Ticket) {
        leading.changing = Some(Change::Proposed);
        if leading.gather_members(group, ticket) {
            self.work.set(());
        }
    }

    /// Sends a new member what it lacks before it counts.
    fn teach(&self, state: &mut State, id: ReplicaId, member: Member, ticket: Ticket) {
        let (term, next, now) = (state.term(), state.log.last().next(), self.env.now());
        let Some(this) = self.this.upgrade() else {
            return ticket.refuse(Refusal::Busy);
        };
        self.rpc.add_peer(id, &member.peer);
        let Some(leading) = state.leading(term) else {
            return ticket.refuse(Refusal::NotLeader(None));
        };
        leading.peers.insert(id, Progress::new(next, now));
        leading.changing = Some(Change::Learns(id));
        self.env.spawn(async move {
            let taught = this.learner_catches_up(term, id).await;
            let mut state = this.state.borrow_mut();
            let mut group = BTreeMap::clone(state.membership.group());
            let Some(leading) = state.leading(term) else {
                return ticket.refuse(Refusal::NotLeader(None));
            };
            if taught {
                group.insert(id, member);
                this.propose(leading, &group, ticket);
            } else {
                leading.peers.remove(&id);
                leading.changing = None;
                this.connect_members(&state);
                ticket.refuse(Refusal::Rejected("the new member does not answer"));
            }
        });
    }

    /// Round by round: the log grows while the learner gets what was there, so the last round is a short one.
    async fn learner_catches_up(self: &Rc<Self>, term: Term, id: ReplicaId) -> bool {
        loop {
            let (began, goal) = (self.env.now(), self.state.borrow().log.last());
            if !self.learner_reaches(term, id, goal).await {
                return false;
            }
            if self.env.now().since(began) < self.timing.election_timeout.start {
                return true;
            }
        }
    }

    /// Suspends the coroutine until the learner holds everything up to `goal`; false says that it is silent, or that
    /// this replica leads no more.
    async fn learner_reaches(&self, term: Term, id: ReplicaId, goal: LogIndex) -> bool {
        loop {
            let reached = self.work.wait("learner", |()| {
                let mut state = self.state.borrow_mut();
                state
                    .leading(term)
                    .and_then(|leading| leading.peers.get(&id))
                    .is_none_or(|progress| progress.matched >= goal)
            });
            let reached = self
                .env
                .within("learner", PATIENCE, reached)
                .await
                .is_some();
            let mut state = self.state.borrow_mut();
            let Some(progress) = state
                .leading(term)
                .and_then(|leading| leading.peers.get(&id))
            else {
                return false;
            };
            if reached || self.env.now().since(progress.heard) >= PATIENCE {
                return reached;
            }
        }
    }

    /// A change is committed: its ticket is answered, and who left is forgotten.
    pub(super) fn changed(&self, state: &mut State, ticket: Ticket) {
        ticket.ok();
        let term = state.term();
        let group = Group::clone(state.membership.group());
        if let Some(leading) = state.leading(term) {
            leading.changing = None;
            leading.peers.retain(|id, _| group.contains_key(id));
        }
        self.connect_members(state);
        if !group.contains_key(&self.me)
            && let Some(this) = self.this.upgrade()
        {
            // It has led the group to the point where it does not belong to it any more.
            self.env.spawn(async move {
                this.hand_over(None).await;
                let mut state = this.state.borrow_mut();
                let term = state.term();
                if state.role() == Role::Leader {
                    this.follow(&mut state, term);
                }
            });
        }
    }
}

impl Op {
    /// Whether it has an entry.
    pub(super) const fn has_entry(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Members(_))
    }
}
