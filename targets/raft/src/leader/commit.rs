//! From a ready quorum to the clients' answers.

use std::io;
use std::rc::Rc;

use depfast::{Outcome, QuorumEvent, Verdict};

use super::{InFlight, Op};
use crate::replica::Raft;
use crate::state::State;
use crate::types::{LogIndex, Term};

impl Raft {
    pub(super) async fn commit_while_leading(self: &Rc<Self>, term: Term) {
        loop {
            self.work
                .wait("a batch", |()| {
                    let mut state = self.state.borrow_mut();
                    state
                        .leading(term)
                        .is_none_or(|leading| !leading.in_flight.is_empty())
                })
                .await;
            let Some((quorum, before)) = self.first_in_flight(term) else {
                return;
            };
            quorum.wait("replication").await;
            if self.state.borrow_mut().leading(term).is_none() {
                return;
            }
            if let Some(before) = before
                && let Err(error) = self.apply_earlier(before).await
            {
                self.wal.fail(error);
                return;
            }
            let mut state = self.state.borrow_mut();
            while let Some(batch) = pop_ready(&mut state, term) {
                self.finish(&mut state, term, batch);
            }
            drop(state);
            self.work.set(());
        }
    }

    /// What a leader finds in its log when it is elected is committed with its first batch.
    async fn apply_earlier(&self, before: LogIndex) -> io::Result<()> {
        {
            let mut state = self.state.borrow_mut();
            state.commit = state.commit.max(before);
        }
        self.apply_until(before).await
    }

    /// The quorum that is waited for first, and the end of the log before its batch.
    fn first_in_flight(&self, term: Term) -> Option<(QuorumEvent, Option<LogIndex>)> {
        let mut state = self.state.borrow_mut();
        let first = state.leading(term)?.in_flight.front()?;
        let before = first.batch.as_ref().map(|batch| batch.first().previous());
        Some((first.quorum.clone(), before))
    }

    /// Counts the leader's own log file like a peer: a leader with a slow disk still commits through the others.
    pub(super) async fn count_own_log_while_leading(self: &Rc<Self>, term: Term) {
        let mut counted = self.wal.durable().get();
        loop {
            {
                let mut state = self.state.borrow_mut();
                let Some(leading) = state.leading(term) else {
                    return;
                };
                for batch in leading
                    .in_flight
                    .iter()
                    .filter(|batch| batch.lsn <= counted)
                {
                    batch.vote(self.me, Verdict::Accept);
                }
            }
            let lagged = self.own_log_lags();
            self.wal
                .durable()
                .wait("own log", |durable| *durable > counted)
                .await;
            counted = self.wal.durable().get();
            if lagged {
                self.work.set(());
            }
        }
    }

    /// Commits, applies and answers a batch that a majority holds.
    fn finish(&self, state: &mut State, term: Term, done: InFlight) {
        let InFlight {
            batch,
            ops,
            last,
            began,
            ..
        } = done;
        // The batch is of the current term, so everything before it is committed with it.
        state.commit = state.commit.max(last);
        if let Some(leading) = state.leading(term) {
            leading.settled = true;
            leading.confirmed = leading.confirmed.max(Some(began));
        }
        let store = &mut state.store;
        let mut entries = batch.iter().flat_map(|batch| batch.entries());
        let mut changed = None;
        for op in ops {
            let entry = op.has_entry().then(|| entries.next());
            let entry = entry.map(|entry| entry.expect("every change has its entry"));
            match op {
                Op::Write(ticket) => {
                    ticket.answer(|reply| store.apply(entry.unwrap_or_default(), reply));
                }
                Op::Read(query, ticket) => ticket.answer(|reply| store.query(&query, reply)),
                Op::Members(ticket) => changed = Some(ticket),
            }
        }
        state.applied = state.applied.max(last);
        if let Some(ticket) = changed {
            self.changed(state, ticket);
        }
    }
}

fn pop_ready(state: &mut State, term: Term) -> Option<InFlight> {
    let in_flight = &mut state.leading(term)?.in_flight;
    in_flight.pop_front_if(|batch| batch.quorum.decided() == Some(Outcome::Ready))
}
