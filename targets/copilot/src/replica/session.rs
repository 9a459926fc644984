//! The commands of clients with sessions, which ask both pilots themselves and may ask anyone again.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use depfast::Instant;
use kv::{Op, Refusal, SessionId, Stamp, Store, Ticket};

use super::Copilot;
use crate::batch::GroupBuilder;
use crate::core::Role;
use crate::machine::STAMPED;

/// A command that nobody has asked for again and nobody has executed for so long may have been lost: a replica that was a pilot
/// does not send on what it was asked. Its client may be gone, and its connection waits for the answer.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);

/// Who waits here for the answer to which command.
///
/// Copies of a command may differ in what their client had acknowledged when it sent them, and only one of them is
/// executed; so what counts is which command it is.
#[derive(Default)]
pub(crate) struct Desk {
    waiting: BTreeMap<Name, Waiting>,
}

/// Which command it is. Each attempt to open a session has an answer of its own for each generation that it expects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    session: SessionId,
    seq: u64,
    generation: Option<u64>,
}

struct Waiting {
    stamp: Stamp,
    tickets: Vec<Ticket>,
    /// When it was asked for last.
    asked: Instant,
}

impl Name {
    fn of(command: &kv::Command<'_>, stamp: Stamp) -> Self {
        Self {
            session: stamp.session,
            seq: stamp.seq,
            generation: match command.op {
                Op::Open { generation } => generation,
                _ => None,
            },
        }
    }
}

impl Desk {
    /// Those who wait for a command that was executed; nobody does any more.
    pub(crate) fn take(&mut self, op: &[u8]) -> Vec<Ticket> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let name =
            kv::Command::decode(op).and_then(|command| Some(Name::of(&command, command.stamp?)));
        let found = name.and_then(|name| self.waiting.remove(&name));
        found.map(|found| found.tickets).unwrap_or_default()
    }

    /// Answers what was executed in a store that came from elsewhere. Whether it has seen an attempt to open a session
    /// nobody can tell.
    pub(crate) fn answer_from(&mut self, store: &Store) {
        self.waiting.retain(|_, Waiting { stamp, tickets, .. }| {
            if let Some(answer) = store.reply_to_copy(*stamp) {
                for ticket in tickets.drain(..) {
                    ticket.answer(|out| out.put_slice(&answer));
                }
            } else if *stamp == Stamp::opening(stamp.session) {
                for ticket in tickets.drain(..) {
                    ticket.refuse(Refusal::Unknown);
                }
            }
            !tickets.is_empty()
        });
    }

    /// Those who have waited for too long; nobody waits for them any more.
    pub(crate) fn give_up(&mut self, now: Instant) -> Vec<Ticket> {
        let is_late = |_: &Name, waiting: &mut Waiting| now.since(waiting.asked) > GIVEN_UP_AFTER;
        let late = self.waiting.extract_if(.., is_late);
        late.flat_map(|(_, waiting)| waiting.tickets).collect()
    }
}

impl Copilot {
    /// Has a command of a session ordered. A pilot proposes it in its own log only: its client asks the other pilot, too.
    pub(crate) fn order_stamped(&self, command: &kv::Command<'_>, stamp: Stamp, ticket: Ticket) {
        let mut state = self.state.borrow_mut();
        if let Some(answer) = state.machine.store.reply_to_copy(stamp) {
            drop(state);
            self.answer_executed(ticket, answer);
            return;
        }
        let mut group = GroupBuilder::default();
        group.push(|out| command.encode(out));
        let group = group.finish(STAMPED, 0, stamp.seq);
        let waiting = state.proxy.sessions.waiting.entry(Name::of(command, stamp));
        let (tickets, asked) = (Vec::new(), self.env.now());
        let waiting = waiting.or_insert(Waiting {
            stamp,
            tickets,
            asked,
        });
        waiting.tickets.push(ticket);
        waiting.asked = asked;
        if Role::BOTH
            .into_iter()
            .any(|role| state.pilots[role].is_some())
        {
            for role in Role::BOTH {
                self.enqueue(&mut state, role, &group);
            }
        } else {
            self.submit(&mut state, &group);
        }
    }

    /// Answers what was executed before, as soon as this replica cannot forget it: nobody proposes it again.
    fn answer_executed(&self, ticket: Ticket, answer: Bytes) {
        if self.wal.is_durable() {
            ticket.answer(|out| out.put_slice(&answer));
            return;
        }
        let wal = Rc::clone(&self.wal);
        self.env.spawn(async move {
            wal.flushed("executed command").await;
            ticket.answer(|out| out.put_slice(&answer));
        });
    }
}
