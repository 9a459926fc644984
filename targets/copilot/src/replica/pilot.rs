//! How a pilot decides an entry of its log.

use std::rc::Rc;

use depfast::{Outcome, QuorumEvent, Verdict};

use super::Copilot;
use super::round::Round;
use crate::core::{
    Choice, Commit, FastReply, Index, Proposal, Quorums, Role, View, final_dependency,
};
use crate::message::{FAST_ACCEPT, FastAccept};
use crate::mutation::Mutation;
use crate::wire::Wire;

impl Copilot {
    /// Takes a proposal to its decision: on the fast path if so many agree to its dependency that nobody who asks later
    /// could miss it, else with a dependency that covers every conflicting entry.
    pub(crate) async fn decide(self: Rc<Self>, role: Role, proposal: Proposal) {
        let Proposal {
            index,
            vote,
            dep_view,
        } = proposal;
        let (view, dep) = (vote.value.origin, vote.proposed);
        self.wal.flushed("own vote").await;

        let quorums = self.state.borrow().core.quorums();
        let fast = QuorumEvent::new(&self.env, quorums.fast(), quorums.members);
        let judging = fast.clone();
        let any_counts = self.mutates(Mutation::CountEveryVote);
        let judge = move |member, answer: Option<&FastReply>| {
            let agrees = answer.is_some_and(|answer| answer.dep == dep || any_counts);
            judging.vote(
                member,
                if agrees {
                    Verdict::Accept
                } else {
                    Verdict::Reject
                },
            );
        };
        let request = FastAccept {
            role,
            index,
            value: vote.value.clone(),
            dep,
            dep_view,
        };
        let round = Round::ask(
            &self,
            (role, index, view),
            FAST_ACCEPT,
            request.encode(),
            judge,
        );
        let own = FastReply {
            dep,
            dep_seen: self
                .state
                .borrow()
                .core
                .has_seen(role.other(), dep, dep_view),
        };
        round.add(self.me, own);

        let outcome = if round.majority("majority of votes").await {
            fast.wait_for("fast quorum", self.timing.fast_path).await
        } else {
            Outcome::Fail
        };
        if self.is_mine(role, index, view) {
            if outcome == Outcome::Ready {
                let commit = Commit {
                    choice: vote.proposal(),
                    dep_seen: self.seen(&round, quorums, dep_view),
                };
                self.commit(role, index, commit).await;
                return;
            }
            if let Some(dep) = final_dependency(quorums, &answered_deps(&round)) {
                let choice = Choice {
                    dep,
                    ..vote.proposal()
                };
                let dep_view = self.state.borrow().core.standing(role.other()).current;
                self.have_accepted(role, index, vote.ballot(), choice, dep_view)
                    .await;
            }
        }
        self.recover_soon(role, index, view);
    }

    fn is_mine(&self, role: Role, index: Index, view: View) -> bool {
        self.state.borrow().core.is_mine(role, index, view)
    }

    /// The view of the other role, if a majority saw the dependency in it.
    fn seen(&self, round: &Round<FastReply>, quorums: Quorums, dep_view: View) -> Option<View> {
        let answers = round.answers.borrow();
        let saw = answers.iter().filter(|(_, answer)| answer.dep_seen).count();
        self.majority_saw(quorums, saw).then_some(dep_view)
    }
}

fn answered_deps(round: &Round<FastReply>) -> Vec<Index> {
    let answers = round.answers.borrow();
    answers.iter().map(|(_, answer)| answer.dep).collect()
}
