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

mod commit;
mod gather;
mod heartbeat;
mod progress;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use depfast::{QuorumEvent, Verdict};
use kv::{Command, Query, Refusal, Ticket};

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
    peers: BTreeMap<ReplicaId, Progress>,
    round: u64,
}

/// A client's request, in its place.
pub(crate) enum Op {
    /// The next entry of the batch.
    Write(Ticket),
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
    /// When the leader itself counts.
    lsn: Lsn,
    quorum: QuorumEvent,
}

impl Leading {
    pub(crate) fn has_room(&self) -> bool {
        self.gathered.size() < GATHERED_BYTES && self.gathered_ops.len() < GATHERED_OPS
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

    /// Refuses everything that waits, because leadership is lost.
    pub(crate) fn abandon(self, me: ReplicaId, peers: &[ReplicaId]) {
        for op in self.gathered_ops {
            // These never entered the log.
            op.into_ticket().refuse(Refusal::NotLeader(None));
        }
        for batch in self.in_flight {
            for op in batch.ops {
                match op {
                    Op::Write(ticket) => ticket.refuse(Refusal::Unknown),
                    Op::Read(_, ticket) => ticket.refuse(Refusal::NotLeader(None)),
                }
            }
            // Whoever waits for it wakes up and sees that it leads no more.
            for member in peers.iter().chain([&me]) {
                batch.quorum.vote(*member, Verdict::Reject);
            }
        }
    }
}

impl Op {
    fn into_ticket(self) -> Ticket {
        match self {
            Self::Write(ticket) | Self::Read(_, ticket) => ticket,
        }
    }
}

impl Raft {
    /// Becomes the leader of the current term.
    pub(crate) fn lead(self: &Rc<Self>, state: &mut State) {
        let term = state.term();
        let now = self.env.now();
        let next = state.log.last().next();
        let mut leading = Leading {
            gathered: BatchBuilder::default(),
            gathered_ops: Vec::new(),
            in_flight: VecDeque::new(),
            peers: self
                .peers
                .iter()
                .map(|peer| (*peer, Progress::new(next, now)))
                .collect(),
            round: 0,
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
        ] {
            let this = Rc::clone(self);
            self.env.spawn(async move {
                match coroutine {
                    Coroutine::Gather => this.gather_while_leading(term).await,
                    Coroutine::Commit => this.commit_while_leading(term).await,
                    Coroutine::OwnLog => this.count_own_log_while_leading(term).await,
                    Coroutine::Heartbeat => this.beat_while_leading(term).await,
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
}
