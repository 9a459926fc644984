//! What a leader does: gathers requests into batches, has them stored by a majority, answers.
//!
//! ```text
//!  clients ─→ gathering ─→ in flight: log file + all peers ─→ quorum ─→ apply, answer
//!                 ↑ at most WINDOW batches in flight; meanwhile requests gather
//! ```
//!
//! A question joins the batch that is being gathered as a change does, but adds no entry. It is answered at its place
//! among the changes when the batch's quorum is ready: every member of that quorum has answered a message that was sent
//! after the question came, so this replica still led then. A batch of questions alone is a round of heartbeats.

mod change;
mod commit;
mod gather;
mod heartbeat;
mod install;
mod lease;
mod progress;
mod replicate;
mod transfer;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use depfast::{Instant, QuorumEvent, Verdict};
use kv::{Command, Query, Refusal, Ticket};

use crate::config::Member;
use crate::membership::{self, Group};
use crate::replica::Raft;
use crate::state::{Standing, State};
use crate::storage::{Batch, BatchBuilder, Lsn};
use crate::types::{LogIndex, ReplicaId};
use progress::Progress;

/// A request beyond these bounds of what is gathered is refused: the quorum is far slower than the clients.
const GATHERED_BYTES: usize = 32 << 20;
const GATHERED_OPS: usize = 1 << 16;

/// What only a leader has.
pub(crate) struct Leading {
    gathered: BatchBuilder,
    gathered_ops: Vec<Op>,
    in_flight: VecDeque<InFlight>,
    /// Every other voter, and who learns to be one.
    peers: BTreeMap<ReplicaId, Progress>,
    round: u64,
    /// Whether an entry of its own term is committed, and with it all earlier ones.
    settled: bool,
    /// When the latest round began that a majority has answered.
    confirmed: Option<Instant>,
    /// Whether another was told to stand for election in this term; then the lease means nothing any more.
    lease_is_lost: bool,
    /// Who is to take over.
    successor: Option<ReplicaId>,
    /// Whether the disks of so many members are full that no majority can keep more.
    lacks_room: bool,
    /// Whether a change of the members is under way.
    changing: Option<Change>,
}

/// A change of the members before it is committed.
enum Change {
    /// A new member is being sent what it lacks.
    Learns(ReplicaId),
    /// It is in the log, or will be with the next batch.
    Proposed,
}

/// A client's request, in its place.
pub(crate) enum Op {
    /// The next entry of the batch.
    Write(Ticket),
    /// The next entry of the batch, which changes the members.
    Members(Ticket),
    /// A question about the store as it is here.
    Read(Query, Ticket),
}

/// A batch on its way to a majority.
struct InFlight {
    /// Absent if it has only questions.
    batch: Option<Batch>,
    ops: Vec<Op>,
    /// What a member must hold, and must have answered, to count.
    last: LogIndex,
    round: u64,
    began: Instant,
    /// When the leader itself counts.
    lsn: Lsn,
    /// Whose answers count.
    voters: Group,
    quorum: QuorumEvent,
}

impl InFlight {
    fn vote(&self, member: ReplicaId, verdict: Verdict) {
        if self.voters.contains_key(&member) {
            self.quorum.vote(member, verdict);
        }
    }
}

impl Leading {
    pub(crate) fn has_room(&self) -> bool {
        self.gathered.size() < GATHERED_BYTES && self.gathered_ops.len() < GATHERED_OPS
    }

    /// Whether it has heard from a majority that its members can keep no more.
    pub(crate) const fn lacks_room(&self) -> bool {
        self.lacks_room
    }

    /// Adds a request without an entry; says whether it is the first of its batch.
    pub(crate) fn gather(&mut self, op: Op) -> bool {
        self.gathered_ops.push(op);
        self.gathered_ops.len() == 1
    }

    /// Adds a change; says whether it is the first of its batch.
    pub(crate) fn gather_write(&mut self, command: &Command<'_>, ticket: Ticket) -> bool {
        self.gathered.push(|entry| command.encode(entry));
        self.gather(Op::Write(ticket))
    }

    /// Adds the entry that sets the members.
    fn gather_members(&mut self, group: &BTreeMap<ReplicaId, Member>, ticket: Ticket) -> bool {
        self.gathered.push(|entry| membership::encode(group, entry));
        self.gather(Op::Members(ticket))
    }

    /// Whether a replica that is no member is being taught to become one.
    pub(crate) fn teaches(&self, id: ReplicaId) -> bool {
        matches!(self.changing, Some(Change::Learns(learner)) if learner == id)
    }

    /// Refuses everything that waits, because leadership is lost.
    pub(crate) fn abandon(self) {
        let next = self.successor;
        for op in self.gathered_ops {
            // These never entered the log.
            op.into_ticket().refuse(Refusal::NotLeader(next));
        }
        for batch in self.in_flight {
            // Whoever waits for it wakes up and sees that it leads no more.
            for member in batch.voters.keys() {
                batch.quorum.vote(*member, Verdict::Reject);
            }
            for op in batch.ops {
                match op {
                    Op::Write(ticket) | Op::Members(ticket) => ticket.refuse(Refusal::Unknown),
                    Op::Read(_, ticket) => ticket.refuse(Refusal::NotLeader(next)),
                }
            }
        }
    }
}

impl Op {
    fn into_ticket(self) -> Ticket {
        match self {
            Self::Write(ticket) | Self::Members(ticket) | Self::Read(_, ticket) => ticket,
        }
    }
}

impl Raft {
    /// Becomes the leader of the current term.
    pub(crate) fn lead(self: &Rc<Self>, state: &mut State) {
        let term = state.term();
        let now = self.env.now();
        let next = state.log.last().next();
        let others = state.membership.group().keys().filter(|id| **id != self.me);
        let mut leading = Leading {
            gathered: BatchBuilder::default(),
            gathered_ops: Vec::new(),
            in_flight: VecDeque::new(),
            peers: others
                .map(|peer| (*peer, Progress::new(next, now)))
                .collect(),
            round: 0,
            settled: false,
            confirmed: None,
            lease_is_lost: false,
            successor: None,
            lacks_room: false,
            changing: None,
        };
        // Entries of earlier terms are committed only through one of this term.
        leading.gathered.push(|_empty| {});
        state.leader = Some(self.me);
        state.standing = Standing::Leader(leading);
        self.launch(state, term);
        for coroutine in [
            Coroutine::Gather,
            Coroutine::Commit,
            Coroutine::OwnLog,
            Coroutine::Heartbeat,
        ]
        .into_iter()
        .chain(self.mitigation.then_some(Coroutine::OwnHealth))
        {
            let this = Rc::clone(self);
            self.env.spawn(async move {
                match coroutine {
                    Coroutine::Gather => this.gather_while_leading(term).await,
                    Coroutine::Commit => this.commit_while_leading(term).await,
                    Coroutine::OwnLog => this.count_own_log_while_leading(term).await,
                    Coroutine::Heartbeat => this.beat_while_leading(term).await,
                    Coroutine::OwnHealth => this.watch_itself_while_leading(term).await,
                }
            });
        }
    }
}

#[derive(Clone, Copy)]
enum Coroutine {
    Gather,
    Commit,
    OwnLog,
    Heartbeat,
    OwnHealth,
}
