//! How a replica comes up, and what it offers to the front end.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use bytes::BytesMut;
use depfast::{Endpoint, Env, Rpc, ValueEvent};
use kv::{Command, Query, Replica, Status, Ticket};

use super::Copilot;
use super::answer::{Peers, Promises};
use super::head::Head;
use super::proxy::{Asked, Proxy};
use super::state::State;
use crate::batch::ClientId;
use crate::config::Config;
use crate::core::{Acceptor, Both, ReplicaId, Role, View};
use crate::machine::Machine;
use crate::wal::Wal;
use crate::wire::Wire;

/// How many bytes may wait for one peer before messages to it are dropped; it learns later what it missed.
const QUEUE_BYTES: usize = 8 << 20;
const UNREADABLE: &str = "the log file begins with a state that this version cannot read";

impl Copilot {
    /// Recovers a replica from its disk and has it take part in its group from then on.
    ///
    /// # Errors
    ///
    /// Passes on what the disk or the network says.
    pub async fn start(env: &Env, config: &Config) -> io::Result<Rc<Self>> {
        let (wal, recovered) = Wal::open(env, config.durability, config.log_bytes).await?;
        let members: Vec<ReplicaId> = config.members.keys().copied().collect();
        let mut core = Acceptor::new(config.id, &members, wal.keeps());
        // A replica that restarts has no role: it does not know what it proposed last.
        let is_new = recovered.is_nothing();
        let mut machine = Machine::default();
        if let Some((head, store)) = recovered.state {
            let unread = || io::Error::new(io::ErrorKind::InvalidData, UNREADABLE);
            let head = Head::decode(head).ok_or_else(unread)?;
            core.restore(&head.views, &head.executed, head.reach);
            machine = head.machine(store);
        }
        let kept = Both::new(|role| core.log(role).executed());
        for record in recovered.records {
            core.replay(record);
        }
        let rpc = Rpc::join(env, endpoint(config)).await?;
        let state = State {
            core,
            machine,
            pilots: Both::default(),
            kept,
            proxy: Proxy::new(ClientId(env.random_u64() | 1)),
            decided: Both::default(),
            recovering: std::collections::BTreeMap::new(),
            peers: std::collections::BTreeMap::new(),
            snapshots: std::collections::BTreeMap::new(),
            seeking: false,
            contact: Both::new(|_| env.now()),
        };
        let copilot = Rc::new(Self {
            env: env.clone(),
            me: config.id,
            peers: members.into_iter().filter(|id| *id != config.id).collect(),
            timing: config.timing.clone(),
            log_entries: config.log_entries,
            #[cfg(feature = "mutations")]
            mutation: config.mutation,
            rpc,
            wal,
            state: RefCell::new(state),
            work: Both::new(|_| ValueEvent::new(env, ())),
            moved: ValueEvent::new(env, ()),
            asked: ValueEvent::new(env, ()),
            behind: ValueEvent::new(env, ()),
            promises: Promises::new(env),
        });
        kv::health::watch(env);
        copilot.run(is_new);
        Ok(copilot)
    }

    fn run(self: &Rc<Self>, is_new: bool) {
        self.rpc.serve(Rc::new(Peers(Rc::clone(self))));
        let this = || Rc::clone(self);
        for role in Role::BOTH {
            let mut state = self.state.borrow_mut();
            if is_new && state.core.standing(role).current.pilot == self.me {
                self.serve_as_pilot(&mut state, role);
            }
            self.env.spawn(this().take_over_forever(role));
            self.env.spawn(this().watch_forever(role));
        }
        self.env.spawn(this().execute_forever());
        self.env.spawn(this().submit_forever());
        self.env.spawn(this().repeat_forever());
        self.env.spawn(this().learn_forever());
        self.env.spawn(this().beat_forever());
        self.env.spawn(this().answer_when_durable());
        self.env.spawn(this().compact_forever());
    }

    /// Suspends the coroutine until the replica cannot go on; it must then be dropped or its process ended.
    pub async fn failed(&self) -> Rc<io::Error> {
        let failure = self.wal.failure();
        failure.wait("failure", Option::is_some).await;
        failure.with(|error| error.clone().expect("waited for it"))
    }

    /// Whether a crash now would make this replica forget nothing. What it might forget it has told nobody: for checkers.
    pub fn is_durable(&self) -> bool {
        self.wal.is_durable()
    }

    /// The view in which this replica serves as pilot of a role, if it does: for checkers.
    pub fn serves(&self, role: Role) -> Option<View> {
        let state = self.state.borrow();
        let pilot = state.pilots[role].as_ref();
        pilot.map(|_| state.core.standing(role).current)
    }

    /// How often this replica has replaced its log file: for checkers.
    pub fn compactions(&self) -> u64 {
        self.wal.compactions()
    }

    /// Looks at the protocol state and the machine: for checkers.
    pub fn inspect<R>(&self, look: impl FnOnce(&Acceptor, &Machine) -> R) -> R {
        let state = self.state.borrow();
        look(&state.core, &state.machine)
    }
}

fn endpoint(config: &Config) -> Endpoint {
    let mut peers = config.members.clone();
    let own = peers.remove(&config.id).map(|member| member.peer);
    Endpoint {
        me: config.id,
        listen: config.peer_listen.clone().or(own).unwrap_or_default(),
        peers: peers
            .into_iter()
            .map(|(id, member)| (id, member.peer))
            .collect(),
        queue_bytes: QUEUE_BYTES,
    }
}

impl Replica for Copilot {
    fn write(&self, command: Command<'_>, ticket: Ticket) {
        match command.stamp {
            Some(stamp) => self.order_stamped(&command, stamp, ticket),
            None => self.order(Asked::Write(ticket), |op| command.encode(op)),
        }
    }

    fn read(&self, query: Query, ticket: Ticket) {
        self.order(Asked::Read(query, ticket), |_: &mut BytesMut| {});
    }

    fn pilots(&self) -> [Option<ReplicaId>; 2] {
        let state = self.state.borrow();
        Role::BOTH.map(|role| {
            let standing = state.core.standing(role);
            standing.is_active().then_some(standing.current.pilot)
        })
    }

    fn status(&self) -> Status {
        let state = self.state.borrow();
        let served = Role::BOTH
            .into_iter()
            .find(|role| state.pilots[*role].is_some());
        let pilot = state.core.standing(Role::Pilot).current;
        let sum = |of: &dyn Fn(Role) -> u64| of(Role::Pilot) + of(Role::Copilot);
        Status {
            id: self.me,
            role: match served {
                Some(Role::Pilot) => kv::Role::Pilot,
                Some(Role::Copilot) => kv::Role::Copilot,
                None => kv::Role::Follower,
            },
            leader: Some(pilot.pilot),
            // Grows with each change of either role, so that clients know what is old.
            term: Role::BOTH
                .map(|role| state.core.standing(role).current.number)
                .iter()
                .sum(),
            commit: sum(&|role| state.core.log(role).committed().0),
            applied: sum(&|role| state.core.log(role).executed().0),
            last: sum(&|role| state.core.log(role).last().0),
            keys: state.machine.store.len(),
        }
    }
}
