//! The regular path, and what follows every decision.

use std::rc::Rc;

use super::Copilot;
use super::round::Round;
use super::state::State;
use crate::core::{
    AcceptReply, Ballot, Choice, Commit, Index, Quorums, Refusal, Role, View, Vote, majority_saw,
};
use crate::message::{ACCEPT, Accept, DECIDED, Decided};
use crate::mutation::Mutation;
use crate::wire::Wire;

impl Copilot {
    /// Has a choice accepted by a majority and makes it known.
    pub(crate) async fn have_accepted(
        self: &Rc<Self>,
        role: Role,
        index: Index,
        ballot: Ballot,
        choice: Choice,
        dep_view: View,
    ) {
        let own = {
            let mut state = self.state.borrow_mut();
            let mut own = choice.clone();
            if self.mutates(Mutation::AcceptTwoValues) {
                own = own_proposal(&state, role, index).unwrap_or(own);
            }
            let own = state.core.accept(role, index, ballot, own, dep_view);
            self.settle(&mut state);
            own
        };
        let Ok(own) = own else { return };
        let request = Accept {
            role,
            index,
            ballot,
            choice: choice.clone(),
            dep_view,
        };
        let place = (role, index, ballot.view);
        let round = Round::<AcceptReply>::ask(self, place, ACCEPT, request.encode(), |_, _| {});
        self.wal.flushed("own acceptance").await;
        round.add(self.me, own);
        if round.majority("majority of acceptances").await {
            let saw = round
                .answers
                .borrow()
                .iter()
                .filter(|(_, answer)| answer.dep_seen)
                .count();
            let quorums = self.state.borrow().core.quorums();
            let dep_seen = self.majority_saw(quorums, saw).then_some(dep_view);
            let mut choice = choice;
            if self.mutates(Mutation::FastAfterAccept) {
                let own = own_proposal(&self.state.borrow(), role, index);
                choice = own.unwrap_or(choice);
            }
            self.commit(role, index, Commit { choice, dep_seen }).await;
        }
    }

    /// Whether so many saw a dependency that no later view of its role can begin before it.
    pub(super) fn majority_saw(&self, quorums: Quorums, saw: usize) -> bool {
        majority_saw(quorums, saw) || self.mutates(Mutation::SeenByMajority)
    }

    /// Decides an entry and makes the decision known, once nothing can make this replica forget it.
    pub(crate) async fn commit(&self, role: Role, index: Index, commit: Commit) {
        let message = Decided {
            role,
            index,
            origin: commit.choice.value.as_ref().map(|value| value.origin),
            dep: commit.choice.dep,
            dep_seen: commit.dep_seen,
        };
        self.learn_decision(&mut self.state.borrow_mut(), role, index, commit);
        self.wal.flushed("decision").await;
        let message = message.encode();
        for peer in &self.peers {
            self.rpc.cast(*peer, DECIDED, vec![message.clone()]);
        }
    }

    /// Takes over a decision, wherever it comes from.
    pub(crate) fn learn_decision(
        &self,
        state: &mut State,
        role: Role,
        index: Index,
        commit: Commit,
    ) {
        let own = state
            .core
            .log(role)
            .get(index)
            .and_then(|entry| entry.vote.as_ref())
            .filter(|vote| vote.value.origin.pilot == self.me && commit.choice.value.is_none())
            .map(|vote| vote.value.batch.clone());
        if state.core.commit(role, index, commit) {
            state.decided[role].insert(index, self.env.now());
            self.settle(state);
            self.moved.set(());
            if let Some(lost) = own {
                // The commands of an own proposal that became a no-op.
                self.propose_again(state, role, &lost);
            }
        }
    }

    /// What a refusal teaches.
    pub(crate) fn heed(&self, role: Role, index: Index, refusal: Refusal) {
        let mut state = self.state.borrow_mut();
        match refusal {
            Refusal::View(standing) => {
                state.core.learn_standing(role, standing);
                self.settle(&mut state);
            }
            Refusal::Committed(commit) => self.learn_decision(&mut state, role, index, commit),
            Refusal::Promised(_) | Refusal::Forgotten(_) => {}
        }
    }

    /// Makes what changed in the core durable sooner or later, and stops being pilot where somebody else is.
    pub(crate) fn settle(&self, state: &mut State) {
        if self.wal.keeps() {
            let records = state.core.take_journal();
            self.wal.append(&records);
        }
        for role in Role::BOTH {
            let standing = state.core.standing(role);
            if standing.current.pilot == self.me && standing.is_active() {
                continue;
            }
            if state.pilots[role].take().is_some() {
                state.contact[role] = self.env.now();
                self.work[role].set(());
            }
        }
    }
}

/// What was proposed at an index, as far as it is known here: for replicas that err on purpose.
fn own_proposal(state: &State, role: Role, index: Index) -> Option<Choice> {
    let entry = state.core.log(role).get(index)?;
    entry.vote.as_ref().map(Vote::proposal)
}
