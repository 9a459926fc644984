//! One replica: its parts, how it starts, and the steps that all its roles share.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use depfast::{Endpoint, Env, Responder, Rpc, ValueEvent};
use kv::Store;

use crate::config::{Config, Reads, Timing};
use crate::membership::{self, Group, Membership};
use crate::mutation::Mutation;
use crate::peers::Peers;
use crate::snapshot;
use crate::state::{Standing, State};
use crate::storage::{self, Batch, Log, Lsn, SnapshotMeta, Snapshots, Stretch, Wal};
use crate::types::{LogIndex, ReplicaId, Term};

/// How much may wait for one peer in the RPC layer. A peer that lags is sent nothing new anyway until it answers, so
/// this only has to hold a window of messages.
const QUEUE_BYTES: usize = 16 << 20;
/// How much of the log is read at a time when a replica starts.
const SCAN_BYTES: usize = 1 << 20;

/// A replica. It lives as long as its environment.
pub struct Raft {
    pub(crate) env: Env,
    pub(crate) me: ReplicaId,
    pub(crate) this: Weak<Self>,
    pub(crate) timing: Timing,
    pub(crate) reads: Reads,
    pub(crate) message_bytes: usize,
    pub(crate) mitigation: bool,
    log_memory: usize,
    pub(crate) snapshot_bytes: u64,
    #[cfg(feature = "mutations")]
    mutation: Option<Mutation>,
    pub(crate) rpc: Rpc,
    pub(crate) wal: Rc<Wal>,
    pub(crate) snapshots: Rc<Snapshots>,
    pub(crate) state: RefCell<State>,
    /// The members, apart from the state: the clients' side asks for them when it is told of a leader, in the middle of
    /// a step.
    pub(crate) group: RefCell<Group>,
    /// Is set when coroutines of the leader may find work, or that they lead no more.
    pub(crate) work: ValueEvent<()>,
    /// Is set when the commit index of a follower has moved.
    pub(crate) committed: ValueEvent<()>,
    /// Is set when the replica stops leading.
    pub(crate) deposed: ValueEvent<()>,
    pub(crate) promises: RefCell<VecDeque<(Lsn, Responder, Bytes)>>,
    pub(crate) promised: ValueEvent<()>,
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
        let options = storage::Options {
            durability: config.durability,
            log_memory: config.log_memory,
            segment_bytes: config.segment_bytes,
        };
        let (wal, recovered) = Wal::open(env, &options, latest.as_ref()).await?;
        let store = snapshot::restore(&snapshots).await?;
        let membership = find_members(&wal, &recovered.log, latest.as_ref(), config).await?;
        let applied = latest.map(|meta| meta.index).unwrap_or_default();
        let mut peers = membership.everybody();
        let own = peers
            .remove(&config.id)
            .or_else(|| config.members.get(&config.id).cloned());
        let endpoint = Endpoint {
            me: config.id,
            listen: config
                .peer_listen
                .clone()
                .or(own.map(|own| own.peer))
                .unwrap_or_default(),
            peers: peers
                .into_iter()
                .map(|(id, member)| (id, member.peer))
                .collect(),
            queue_bytes: QUEUE_BYTES,
        };
        let rpc = Rpc::join(env, endpoint).await?;
        let state = State {
            hard: recovered.hard_state,
            log: recovered.log,
            commit: applied,
            applied,
            store,
            membership,
            leader: None,
            standing: Standing::Follower,
            // A replica that restarts does not know whether there is a leader, so it gives one time to speak up. It may
            // also have promised a leader not to vote, and cannot know.
            contact: env.now(),
            patience_from: env.now(),
            handovers: 0,
            installed: 0,
            receiving: false,
            incoming: None,
        };
        let raft = Rc::new_cyclic(|this| Self {
            env: env.clone(),
            me: config.id,
            this: Weak::clone(this),
            timing: config.timing.clone(),
            reads: config.reads,
            message_bytes: config.message_bytes,
            mitigation: config.mitigation,
            log_memory: config.log_memory,
            snapshot_bytes: config.snapshot_bytes,
            #[cfg(feature = "mutations")]
            mutation: config.mutation,
            rpc,
            wal,
            snapshots,
            group: RefCell::new(Group::clone(state.membership.group())),
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
        let compacting = Rc::clone(&raft);
        env.spawn(async move { electing.elect_forever().await });
        env.spawn(async move { applying.apply_forever().await });
        env.spawn(async move { compacting.compact_forever().await });
        let making_space = Rc::clone(&raft);
        env.spawn(async move { making_space.make_space_forever().await });
        if config.mitigation {
            kv::health::watch(env);
        }
        env.spawn(async move { promising.answer_when_durable().await });
        Ok(raft)
    }

    /// How many snapshots of a leader it has taken over since it started.
    pub fn installed(&self) -> u64 {
        self.state.borrow().installed
    }

    /// Looks at the state machine: for checkers.
    pub fn inspect_store<R>(&self, see: impl FnOnce(&Store) -> R) -> R {
        see(&self.state.borrow().store)
    }

    /// Whether it is to make this mistake on purpose.
    pub(crate) fn mutates(&self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.mutation == Some(mutation);
        #[cfg(not(feature = "mutations"))]
        {
            let _never = mutation;
            false
        }
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

    /// Appends a batch to the log and to its file, and keeps the memory that the log takes within its budget.
    pub(crate) fn append(&self, state: &mut State, batch: Batch) -> Lsn {
        let lsn = self.wal.append(&batch);
        if state.membership.note(&batch) {
            self.connect_members(state);
        }
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
            leading.abandon();
            self.connect_members(state);
            self.work.set(());
            self.committed.set(());
            self.deposed.set(());
        }
    }
}

/// The members that the log or the snapshot speaks of, or else those that the configuration names.
async fn find_members(
    wal: &Wal,
    log: &Log,
    snapshot: Option<&SnapshotMeta>,
    config: &Config,
) -> io::Result<Membership> {
    let known = snapshot.and_then(|meta| membership::decode(&meta.configuration));
    let initial = || {
        if config.joins {
            BTreeMap::new()
        } else {
            config.members.clone()
        }
    };
    let covered = snapshot.map_or(LogIndex::ZERO, |meta| meta.index);
    let mut membership = Membership::new(covered, known.unwrap_or_else(initial));
    let mut next = log.first_index();
    while next <= log.last() {
        let batches = match log.since(next, SCAN_BYTES) {
            Stretch::Here(batches) => batches,
            Stretch::OnDisk(extent) => wal.read(&extent).await?,
            Stretch::Compacted => break,
        };
        for batch in &batches {
            membership.note(batch);
            next = batch.last().next();
        }
    }
    Ok(membership)
}
