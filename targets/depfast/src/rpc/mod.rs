//! Calls between nodes.
//!
//! A call never waits: it is queued for the peer or dropped at once, because a broadcast needs only a quorum and a slow
//! peer must not cost memory. The answer comes as an [`RpcEvent`].

mod call;
mod error;
mod frame;
mod pending;
mod service;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use bytes::Bytes;

use crate::env::{Addresses, Env, Inbox, Ticket, Transport};
use crate::event::{Completion, QuorumEvent, RpcEvent, RpcResult, Verdict};
use crate::id::NodeId;
pub(crate) use call::Call;
pub use error::RpcError;
use frame::{Header, Kind};
use pending::Pending;
pub use service::{Responder, Service};

/// Where a node takes part in the group.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// This node.
    pub me: NodeId,
    /// Where it listens for its peers, `host:port`.
    pub listen: String,
    /// The other members and where they listen.
    pub peers: Addresses,
    /// How many bytes may wait for one peer before messages to it are dropped.
    pub queue_bytes: usize,
}

/// A node's membership in the group. Clones are handles to the same one.
#[derive(Clone)]
pub struct Rpc(Rc<Inner>);

struct Inner {
    env: Env,
    me: NodeId,
    transport: RefCell<Option<Rc<dyn Transport>>>,
    peers: RefCell<Addresses>,
    pending: RefCell<Pending>,
    service: RefCell<Option<Rc<dyn Service>>>,
}

impl Rpc {
    /// Starts to listen for peers and to connect to them, in the background.
    ///
    /// # Errors
    ///
    /// Fails if the address of `endpoint` is not available.
    pub async fn join(env: &Env, endpoint: Endpoint) -> io::Result<Self> {
        let inner = Rc::new(Inner {
            env: env.clone(),
            me: endpoint.me,
            transport: RefCell::new(None),
            peers: RefCell::new(endpoint.peers.clone()),
            pending: RefCell::new(Pending::of_life(env.random_u64())),
            service: RefCell::new(None),
        });
        let inbox: Rc<dyn Inbox> = Rc::<Inner>::clone(&inner);
        let transport = env.join(endpoint, inbox).await?;
        *inner.transport.borrow_mut() = Some(transport);
        inner.name_members();
        Ok(Self(inner))
    }

    /// From now on, has `service` handle the calls of peers. Earlier ones were dropped.
    pub fn serve(&self, service: Rc<dyn Service>) {
        *self.0.service.borrow_mut() = Some(service);
    }

    /// Those that can be called.
    pub fn peers(&self) -> Vec<NodeId> {
        self.0.peers.borrow().keys().copied().collect()
    }

    /// Makes `id`, which listens at `address`, a peer that can be called; it may have been one at another address. Nothing
    /// happens if it is one at this address.
    ///
    /// A node need not be a peer to call this one and to be answered: in a group that changes, some know of a new member
    /// before others do.
    pub fn add_peer(&self, id: NodeId, address: &str) {
        let known = self.0.peers.borrow_mut().insert(id, address.to_owned());
        if known.is_some_and(|known| known == address) {
            return;
        }
        self.0.name_members();
        if let Some(transport) = &*self.0.transport.borrow() {
            transport.add_peer(id, address.to_owned());
        }
        self.0.disconnected(id);
    }

    /// Ends the connection to a peer; calls to it fail from now on, and those that are unanswered fail now, which runs
    /// their observers.
    pub fn remove_peer(&self, id: NodeId) {
        self.0.peers.borrow_mut().remove(&id);
        self.0.name_members();
        if let Some(transport) = &*self.0.transport.borrow() {
            transport.remove_peer(id);
        }
        self.0.disconnected(id);
    }

    /// Calls `method` of `to`, which must be a peer, with `body`.
    pub fn call(&self, to: NodeId, method: u8, body: Vec<Bytes>) -> RpcEvent {
        let sent = self.0.call(to, method, body);
        let (completion, id) = match sent {
            Ok((completion, id)) => (completion, Some(id)),
            Err(error) => (Completion::done(Err(error)), None),
        };
        let rpc = Rc::downgrade(&self.0);
        RpcEvent {
            peer: to,
            completion,
            env: self.0.env.clone(),
            call: id.map(|id| Call { rpc, peer: to, id }),
        }
    }

    /// Calls `method` of all peers with `body`; each answer counts in `quorum` as `judge` says.
    ///
    /// A broadcast needs only a quorum: once that is decided, what waits in this node's queue for a slow peer is dropped
    /// ([`QuorumEvent::drop_unsent`]).
    pub fn broadcast(
        &self,
        quorum: &QuorumEvent,
        method: u8,
        body: &[Bytes],
        judge: impl Fn(NodeId, &RpcResult) -> Verdict + Clone + 'static,
    ) {
        quorum.drop_unsent();
        for peer in self.peers() {
            let judge = judge.clone();
            let call = self.call(peer, method, body.to_vec());
            quorum.add(call, move |result| judge(peer, result));
        }
    }
}

impl Rpc {
    /// Tells a peer something that needs no answer; it may be lost, as a network may lose it.
    pub fn cast(&self, to: NodeId, method: u8, body: Vec<Bytes>) {
        // Calls are numbered from one, so an answer to this is an answer to nothing.
        let header = Header {
            kind: Kind::Request,
            method,
            id: 0,
        };
        let _lost = self.0.send(to, header, body);
    }
}

impl Inner {
    fn call(
        &self,
        to: NodeId,
        method: u8,
        body: Vec<Bytes>,
    ) -> Result<(Completion<RpcResult>, u64), RpcError> {
        if !self.peers.borrow().contains_key(&to) {
            return Err(RpcError::Disconnected);
        }
        let (id, completion, surplus) = self.pending.borrow_mut().open(to);
        if let Some(oldest) = surplus {
            self.withdraw(to, oldest);
            self.give_up(to, oldest, RpcError::Superseded);
        }
        let kind = Kind::Request;
        match self.send(to, Header { kind, method, id }, body) {
            Ok(ticket) => {
                self.pending.borrow_mut().sent(to, id, ticket);
                Ok((completion, id))
            }
            Err(error) => {
                self.pending.borrow_mut().close(to, id);
                Err(error)
            }
        }
    }

    fn name_members(&self) {
        let peers = self.peers.borrow().keys().copied().collect();
        self.env.trace().set_members(self.me, peers);
    }

    /// Takes a call back that has not left this node; says whether it had not.
    fn withdraw(&self, to: NodeId, id: u64) -> bool {
        let ticket = self.pending.borrow().ticket(to, id);
        let transport = self.transport.borrow();
        (ticket.zip(transport.as_ref())).is_some_and(|(ticket, it)| it.withdraw(to, ticket))
    }

    fn give_up(&self, to: NodeId, id: u64, why: RpcError) {
        let call = self.pending.borrow_mut().close(to, id);
        if let Some(call) = call {
            call.complete(Err(why));
        }
    }

    fn send(&self, to: NodeId, header: Header, body: Vec<Bytes>) -> Result<Ticket, RpcError> {
        let transport = self.transport.borrow();
        let transport = transport.as_ref().ok_or(RpcError::Disconnected)?;
        Ok(transport.send(to, frame::seal(header, body))?)
    }
}

impl Inbox for Inner {
    fn deliver(&self, from: NodeId, mut frame: Bytes) {
        let Some(header) = frame::open(&mut frame) else {
            return;
        };
        match header.kind {
            Kind::Response => {
                let call = self.pending.borrow_mut().close(from, header.id);
                if let Some(call) = call {
                    call.complete(Ok(frame));
                }
            }
            Kind::Request => {
                let service = self.service.borrow().clone();
                let transport = self.transport.borrow().clone();
                if let (Some(service), Some(transport)) = (service, transport) {
                    let respond = Responder {
                        transport,
                        to: from,
                        method: header.method,
                        id: header.id,
                    };
                    service.handle(from, header.method, frame, respond);
                }
            }
        }
    }

    fn disconnected(&self, peer: NodeId) {
        let lost = self.pending.borrow_mut().drain(peer);
        for call in lost {
            call.complete(Err(RpcError::Disconnected));
        }
    }

    fn closed(&self) {
        // Service and observers of answers hold what holds this.
        let (service, calls) = (self.service.take(), self.pending.borrow_mut().drain_all());
        for call in calls {
            call.forget();
        }
        drop(service);
    }
}
