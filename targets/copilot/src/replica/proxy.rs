//! What a replica does for the clients that are connected to it.
//!
//! It sends every command to both pilots and answers when it has executed the command itself. A read is an empty
//! command: the question stays here, and is answered at the command's place in the order.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};
use depfast::Instant;
use kv::{Query, Refusal, Store, Ticket};

use super::Copilot;
use super::session::Desk;
use super::state::State;
use crate::batch::{Batch, ClientId, Command, GroupBuilder};
use crate::core::{Entry, Log, ReplicaId, Role};
use crate::machine::{Machine, STAMPED};
use crate::message::SUBMIT;
use crate::seen::WINDOW;

/// Entries that a pilot has proposed and nobody decides: half a second of them, and more than a slow pilot has.
const UNDECIDED: u64 = 1 << 10;
/// Their bytes.
const UNDECIDED_BYTES: usize = 64 << 20;
/// What is sent to the pilots at once is a command longer than this at most.
const GROUP_BYTES: usize = 256 << 10;
/// Commands under way; more are refused.
const UNDER_WAY: u64 = WINDOW / 2;

/// The commands of the connected clients.
pub(crate) struct Proxy {
    client: ClientId,
    /// The number of the oldest command that is not answered.
    low: u64,
    /// What each command from there on was; nothing if it is answered.
    waiting: VecDeque<Option<Asked>>,
    /// Commands that are not sent yet.
    gathered: GroupBuilder,
    /// Groups that were sent and are not all executed.
    sent: VecDeque<Sent>,
    pub(super) sessions: Desk,
}

/// What a client asked.
pub(crate) enum Asked {
    Write(Ticket),
    Read(Query, Ticket),
}

struct Sent {
    end: u64,
    group: Bytes,
    repeat_at: Instant,
    repeats: u32,
}

/// Answers that may go out when everything so far is durable.
#[derive(Default)]
pub(crate) struct Results {
    bytes: BytesMut,
    tickets: Vec<(Ticket, usize)>,
}

impl Results {
    fn add(&mut self, ticket: Ticket, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.bytes);
        self.tickets.push((ticket, self.bytes.len()));
    }

    pub(crate) fn send(&mut self) {
        let mut start = 0;
        for (ticket, end) in self.tickets.drain(..) {
            ticket.answer(|out| out.put_slice(&self.bytes[start..end]));
            start = end;
        }
        self.bytes.clear();
    }
}

impl Proxy {
    pub(crate) fn new(client: ClientId) -> Self {
        Self {
            client,
            low: 0,
            waiting: VecDeque::new(),
            gathered: GroupBuilder::default(),
            sent: VecDeque::new(),
            sessions: Desk::default(),
        }
    }

    fn next(&self) -> u64 {
        self.low + self.waiting.len() as u64
    }

    /// Answers a command of this replica's clients.
    pub(crate) fn executed(
        &mut self,
        store: &Store,
        command: Command<'_>,
        result: &[u8],
        results: &mut Results,
    ) {
        if command.client == STAMPED {
            for ticket in self.sessions.take(command.op) {
                results.add(ticket, |out| out.put_slice(result));
            }
            return;
        }
        if command.client != self.client {
            return;
        }
        let place = command.seq.checked_sub(self.low).map(usize::try_from);
        let Some(Ok(place)) = place else { return };
        match self.waiting.get_mut(place).and_then(Option::take) {
            Some(Asked::Write(ticket)) => results.add(ticket, |out| out.put_slice(result)),
            Some(Asked::Read(query, ticket)) => {
                results.add(ticket, |out| store.query(&query, out));
            }
            None => return,
        }
        self.advance();
    }
}

impl Proxy {
    /// Answers what was executed in a snapshot: results of changes are not known any more, questions can be answered
    /// now.
    pub(crate) fn answer_after_snapshot(&mut self, machine: &Machine) {
        let (client, low) = (self.client, self.low);
        for (seq, asked) in (low..).zip(&mut self.waiting) {
            if !machine.seen.is_executed(client, seq) {
                continue;
            }
            match asked.take() {
                Some(Asked::Write(ticket)) => ticket.refuse(Refusal::Unknown),
                Some(Asked::Read(query, ticket)) => {
                    ticket.answer(|out| machine.store.query(&query, out));
                }
                None => {}
            }
        }
        self.advance();
        self.sessions.answer_from(&machine.store);
    }

    fn advance(&mut self) {
        while self.waiting.pop_front_if(|asked| asked.is_none()).is_some() {
            self.low += 1;
        }
        while self
            .sent
            .pop_front_if(|sent| sent.end <= self.low)
            .is_some()
        {}
    }
}

impl Copilot {
    /// Has a command ordered; its answer comes when it is executed here.
    pub(crate) fn order(&self, asked: Asked, write: impl FnOnce(&mut BytesMut)) {
        let mut state = self.state.borrow_mut();
        let proxy = &mut state.proxy;
        if proxy.waiting.len() as u64 >= UNDER_WAY {
            let (Asked::Write(ticket) | Asked::Read(_, ticket)) = asked;
            drop(state);
            ticket.refuse(Refusal::Busy);
            return;
        }
        if proxy.gathered.size() > GROUP_BYTES {
            self.submit_gathered(&mut state);
        }
        let proxy = &mut state.proxy;
        proxy.gathered.push(write);
        proxy.waiting.push_back(Some(asked));
        if proxy.gathered.count() == 1 {
            self.asked.set(());
        }
    }

    /// Sends what the clients asked in one go to both pilots.
    pub(crate) async fn submit_forever(self: Rc<Self>) {
        loop {
            self.asked
                .wait("clients' commands", |()| {
                    self.state.borrow().proxy.gathered.count() > 0
                })
                .await;
            self.submit_gathered(&mut self.state.borrow_mut());
        }
    }

    fn submit_gathered(&self, state: &mut State) {
        let proxy = &mut state.proxy;
        let gathered = std::mem::take(&mut proxy.gathered);
        let end = proxy.next();
        let first = end - u64::from(gathered.count());
        let group = gathered.finish(proxy.client, proxy.low, first);
        proxy.sent.push_back(Sent {
            end,
            group: group.clone(),
            repeat_at: self.env.now() + self.timing.retry,
            repeats: 0,
        });
        self.submit(state, &group);
    }

    /// Sends again what was not executed in time: its pilot may be gone; and everything as soon as a role is somebody else's.
    /// What sessions asked, they ask again themselves.
    pub(crate) async fn repeat_forever(self: Rc<Self>) {
        let views = |state: &State| Role::BOTH.map(|role| state.core.standing(role).current);
        let mut asked = views(&self.state.borrow());
        loop {
            self.env.timeout("retry", self.timing.retry).await;
            let now = self.env.now();
            let mut state = self.state.borrow_mut();
            let before = std::mem::replace(&mut asked, views(&state));
            let mut due = Vec::new();
            for sent in &mut state.proxy.sent {
                if asked != before {
                    sent.repeats = 0;
                }
                if asked != before || sent.repeat_at <= now {
                    sent.repeats = (sent.repeats + 1).min(4);
                    sent.repeat_at = now + self.timing.retry * (1 << sent.repeats);
                    due.push(sent.group.clone());
                }
            }
            for group in due {
                self.submit(&mut state, &group);
            }
            let given_up = state.proxy.sessions.give_up(now);
            drop(state);
            for ticket in given_up {
                ticket.refuse(Refusal::Unknown);
            }
        }
    }

    pub(super) fn submit(&self, state: &mut State, group: &Bytes) {
        let mut told: Option<ReplicaId> = None;
        for role in Role::BOTH {
            let pilot = state.core.standing(role).current.pilot;
            if pilot == self.me {
                self.enqueue(state, role, group);
            } else if told != Some(pilot) {
                told = Some(pilot);
                self.rpc.cast(pilot, SUBMIT, vec![group.clone()]);
            }
        }
    }

    /// Has a pilot propose commands that another replica's clients asked.
    pub(crate) fn on_submit(&self, group: Bytes) {
        let Some(batch) = Batch::checked(group) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        for role in Role::BOTH {
            self.enqueue(&mut state, role, batch.bytes());
        }
    }

    /// Has this replica propose commands, if it is pilot. One whose proposals nobody answers takes no more: whoever asks
    /// asks again.
    pub(super) fn enqueue(&self, state: &mut State, role: Role, groups: &[u8]) {
        if let Some(pilot) = &mut state.pilots[role]
            && has_room(state.core.log(role))
        {
            let was_empty = pilot.queue.is_empty();
            pilot.queue.extend(groups);
            if was_empty {
                pilot.queued = self.env.now();
                self.work[role].set(());
            }
        }
    }

    /// Proposes what is not executed of a batch whose entry became a no-op.
    pub(crate) fn propose_again(&self, state: &mut State, role: Role, lost: &Batch) {
        for group in lost.groups() {
            if !state.machine.is_group_executed(&group) {
                self.enqueue(state, role, group.bytes);
            }
        }
    }
}

/// Whether a pilot with this log may propose more.
fn has_room(log: &Log) -> bool {
    let open = log.known().0.saturating_sub(log.committed().0);
    let size = |entry: &Entry| {
        let vote = entry.vote.as_ref();
        vote.map_or(0, |vote| vote.value.batch.bytes().len())
    };
    open < UNDECIDED && log.open().map(size).sum::<usize>() < UNDECIDED_BYTES
}
