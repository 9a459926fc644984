//! The replica as its clients see it.

use kv::{Command, MemberChange, MemberInfo, Query, Refusal, Replica, Role, Status, Ticket};

use crate::config::Member;
use crate::leader::{Leading, Op};
use crate::replica::Raft;
use crate::state::Standing;
use crate::storage::Space;
use crate::types::ReplicaId;

impl Raft {
    /// Whether it leads, and what it is asked to write could not be kept.
    fn lacks_room(&self) -> bool {
        match &self.state.borrow().standing {
            Standing::Leader(leading) => {
                leading.lacks_room() || self.wal.space().get() == Space::Full
            }
            Standing::Follower | Standing::Candidate => false,
        }
    }

    /// Has a leader with room gather a request; `gather` says whether it is the first of its batch.
    fn admit(&self, ticket: Ticket, gather: impl FnOnce(&mut Leading, Ticket) -> bool) {
        let mut state = self.state.borrow_mut();
        match &mut state.standing {
            Standing::Leader(leading) if leading.has_room() => {
                if gather(leading, ticket) {
                    self.work.set(());
                }
            }
            Standing::Leader(_) => ticket.refuse(Refusal::Busy),
            Standing::Follower | Standing::Candidate => {
                ticket.refuse(Refusal::NotLeader(state.leader));
            }
        }
    }
}

impl Replica for Raft {
    fn write(&self, command: Command<'_>, ticket: Ticket) {
        if self.lacks_room() {
            return ticket.refuse(Refusal::NoSpace);
        }
        self.admit(ticket, |leading, ticket| {
            leading.gather_write(&command, ticket)
        });
    }

    fn read(&self, query: Query, ticket: Ticket) {
        if self.may_answer_now(&ticket) {
            let state = self.state.borrow();
            ticket.answer(|reply| state.store.query(&query, reply));
            return;
        }
        self.admit(ticket, |leading, ticket| {
            leading.gather(Op::Read(query, ticket))
        });
    }

    fn status(&self) -> Status {
        let state = self.state.borrow();
        Status {
            id: self.me,
            role: state.role(),
            leader: state.leader,
            term: state.term().0,
            commit: state.commit.0,
            applied: state.applied.0,
            last: state.log.last().0,
            keys: state.store.len(),
        }
    }

    fn change_members(&self, change: MemberChange, ticket: Ticket) {
        self.change(change, ticket);
    }

    fn transfer(&self, to: Option<ReplicaId>, ticket: Ticket) {
        let (role, leader) = {
            let state = self.state.borrow();
            (state.role(), state.leader)
        };
        match self.this.upgrade() {
            Some(this) if role == Role::Leader => {
                ticket.ok();
                self.env.spawn(async move {
                    this.hand_over(to).await;
                });
            }
            _ => ticket.refuse(Refusal::NotLeader(leader)),
        }
    }

    fn members(&self) -> Vec<MemberInfo> {
        let group = self.group.borrow();
        let info = |(id, member): (&ReplicaId, &Member)| MemberInfo {
            id: *id,
            peer: member.peer.clone(),
            client: member.client.clone(),
            voter: true,
        };
        group.iter().map(info).collect()
    }
}
