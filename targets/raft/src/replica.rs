//! One replica: its parts, and what it does for its peers and its clients.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use depfast::{Endpoint, Env, Responder, Rpc, Service, ValueEvent};
use kv::{Command, Query, Refusal, Replica, Role, Status, Store, Ticket};

use crate::config::{Config, Timing};
use crate::leader::{Leading, Op};
use crate::message::{APPEND, VOTE};
use crate::state::{Standing, State};
use crate::storage::{Batch, Lsn, Snapshots, Stretch, Wal};
use crate::types::{LogIndex, ReplicaId, Term};

/// How much may wait for one peer in the RPC layer. A peer that lags is sent nothing new anyway until it answers, so
/// this only has to hold a window of messages.
const QUEUE_BYTES: usize = 16 << 20;
/// How many bytes of entries are applied before others get their turn.
const APPLY_BYTES: usize = 256 << 10;

/// A replica. It lives as long as its environment.
pub struct Raft {
    pub(crate) env: Env,
    pub(crate) me: ReplicaId,
    pub(crate) peers: Vec<ReplicaId>,
    pub(crate) timing: Timing,
    log_memory: usize,
    pub(crate) rpc: Rpc,
    pub(crate) wal: Rc<Wal>,
    pub(crate) state: RefCell<State>,
    /// Is set when coroutines of the leader may find work, or that they lead no more.
    pub(crate) work: ValueEvent<()>,
    /// Is set when the commit index of a follower has moved.
    pub(crate) committed: ValueEvent<()>,
    /// Is set when the replica stops leading.
    pub(crate) deposed: ValueEvent<()>,
    promises: RefCell<VecDeque<(Lsn, Responder, Bytes)>>,
    promised: ValueEvent<()>,
}

impl Raft {
    /// Recovers a replica from its disk and has it take part in its group from then on.
    ///
    /// # Errors
    ///
    /// Passes on what the disk or the network says.
    pub async fn start(env: &Env, config: &Config) -> io::Result<Rc<Self>> {
        let snapshots = Snapshots::open(env, config.durability).await?;
        let latest = snapshots.latest();
        let (wal, recovered) =
            Wal::open(env, config.durability, config.log_memory, latest.as_ref()).await?;
        let mut peers = config.members.clone();
        let own = peers
            .remove(&config.id)
            .map(|member| member.peer)
            .unwrap_or_default();
        let endpoint = Endpoint {
            me: config.id,
            listen: config.peer_listen.clone().unwrap_or(own),
            peers: peers
                .iter()
                .map(|(id, member)| (*id, member.peer.clone()))
                .collect(),
            queue_bytes: QUEUE_BYTES,
        };
        let rpc = Rpc::join(env, endpoint).await?;
        let state = State {
            hard: recovered.hard_state,
            log: recovered.log,
            commit: LogIndex::ZERO,
            applied: LogIndex::ZERO,
            store: Store::default(),
            leader: None,
            standing: Standing::Follower,
            // A replica that restarts does not know whether there is a leader, so it gives one time to speak up.
            contact: env.now(),
            patience_from: env.now(),
        };
        let raft = Rc::new(Self {
            env: env.clone(),
            me: config.id,
            peers: peers.into_keys().collect(),
            timing: config.timing.clone(),
            log_memory: config.log_memory,
            rpc,
            wal,
            state: RefCell::new(state),
            work: ValueEvent::new(env, ()),
            committed: ValueEvent::new(env, ()),
            deposed: ValueEvent::new(env, ()),
            promises: RefCell::default(),
            promised: ValueEvent::new(env, ()),
        });
        raft.rpc.serve(Rc::new(Peers(Rc::clone(&raft))));
        let (electing, applying, promising) =
            (Rc::clone(&raft), Rc::clone(&raft), Rc::clone(&raft));
        env.spawn(async move { electing.elect_forever().await });
        env.spawn(async move { applying.apply_forever().await });
        env.spawn(async move { promising.answer_when_durable().await });
        Ok(raft)
    }

    /// Suspends the coroutine until the replica cannot go on; it must then be dropped or its process ended.
    pub async fn failed(&self) -> Rc<io::Error> {
        let failure = self.wal.failure();
        failure.wait("failure", Option::is_some).await;
        failure.with(|error| error.clone().expect("waited for it"))
    }

    /// Calls `see` with every entry of the log after `after`, and with its bytes if they are in memory: for checkers.
    pub fn inspect_log(&self, after: LogIndex, see: impl FnMut(LogIndex, Term, Option<&[u8]>)) {
        self.state.borrow().log.visit(after, see);
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

    pub(crate) fn group_size(&self) -> usize {
        self.peers.len() + 1
    }

    /// Answers a peer as soon as everything that was appended to the log file so far is durable.
    pub(crate) fn promise(&self, respond: Responder, reply: Bytes) {
        let lsn = self.wal.end();
        let mut promises = self.promises.borrow_mut();
        if promises.is_empty() && self.wal.durable().get() >= lsn {
            respond.send(vec![reply]);
            return;
        }
        promises.push_back((lsn, respond, reply));
        if promises.len() == 1 {
            self.promised.set(());
        }
    }

    async fn answer_when_durable(&self) {
        loop {
            self.promised
                .wait("promises", |()| !self.promises.borrow().is_empty())
                .await;
            let first = self
                .promises
                .borrow()
                .front()
                .map(|promise| promise.0)
                .unwrap_or_default();
            self.wal
                .durable()
                .wait("durable log", |durable| *durable >= first)
                .await;
            let durable = self.wal.durable().get();
            while let Some((_, respond, reply)) = self.pop_promise(durable) {
                respond.send(vec![reply]);
            }
        }
    }

    fn pop_promise(&self, durable: Lsn) -> Option<(Lsn, Responder, Bytes)> {
        let mut promises = self.promises.borrow_mut();
        promises.pop_front_if(|promise| promise.0 <= durable)
    }

    /// A leader applies what it commits itself, with the clients' answers; here is everybody else's part.
    async fn apply_forever(&self) {
        loop {
            self.committed
                .wait("committed entries", |()| {
                    let state = self.state.borrow();
                    state.applied < state.commit && state.role() != Role::Leader
                })
                .await;
            let commit = self.state.borrow().commit;
            if let Err(error) = self.apply_until(commit).await {
                self.wal.fail(error);
                return;
            }
        }
    }

    /// Applies committed entries whose clients, if any, wait elsewhere.
    pub(crate) async fn apply_until(&self, until: LogIndex) -> io::Result<()> {
        loop {
            let applied = self.state.borrow().applied;
            if applied >= until {
                return Ok(());
            }
            let batches = self.fetch(applied.next(), APPLY_BYTES).await?;
            {
                let mut state = self.state.borrow_mut();
                for batch in &batches {
                    state.apply_unasked(batch);
                }
            }
            self.env.yield_now().await;
        }
    }

    /// What follows in the log from `index` on, from memory or from the log file.
    pub(crate) async fn fetch(&self, index: LogIndex, bytes: usize) -> io::Result<Vec<Batch>> {
        let stretch = self.state.borrow().log.since(index, bytes);
        match stretch {
            Stretch::Here(batches) => Ok(batches),
            Stretch::OnDisk(extent) => self.wal.read(&extent).await,
            Stretch::Compacted => Err(io::Error::other("what is to be applied was compacted")),
        }
    }

    /// Appends a batch to the log and to its file, and keeps the memory that the log takes within its budget.
    pub(crate) fn append(&self, state: &mut State, batch: Batch) -> Lsn {
        let lsn = self.wal.append(&batch);
        state.log.append(batch, lsn);
        if self.wal.keeps() {
            state.log.shrink(self.wal.durable().get(), self.log_memory);
        }
        lsn
    }

    /// Enters `term` as a follower, if it is newer; in any case stops leading and standing for election.
    pub(crate) fn follow(&self, state: &mut State, term: Term) {
        if term > state.hard.term {
            state.hard.term = term;
            state.hard.voted_for = None;
            state.leader = None;
            self.wal.note(&state.hard);
        }
        let was = std::mem::replace(&mut state.standing, Standing::Follower);
        if let Standing::Leader(leading) = was {
            state.leader = None;
            state.patience_from = self.env.now();
            leading.abandon(self.me, &self.peers);
            self.work.set(());
            self.committed.set(());
            self.deposed.set(());
        }
    }
}

impl Replica for Raft {
    fn write(&self, command: Command<'_>, ticket: Ticket) {
        self.admit(ticket, |leading, ticket| {
            leading.gather_write(&command, ticket)
        });
    }

    fn read(&self, query: Query, ticket: Ticket) {
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
}

/// The replica as its peers see it.
struct Peers(Rc<Raft>);

impl Service for Peers {
    fn handle(&self, from: ReplicaId, method: u8, body: Bytes, respond: Responder) {
        match method {
            VOTE => self.0.on_vote_request(from, body, respond),
            APPEND => self.0.on_append(from, body, respond),
            // A later version's message: silence is what a peer must be ready for anyway.
            _ => {}
        }
    }
}
