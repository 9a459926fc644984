//! Connections between nodes. Each node dials each of its peers and sends everything it has to say over that
//! connection, calls and answers alike. Who calls without being a peer is answered over the connection it dialled.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::connection::{Outbox, converse, greet};
use super::coroutine::Panics;
use crate::env::{Frame, Inbox, LocalFuture, SendError, Ticket, Transport};
use crate::id::NodeId;
use crate::rpc::Endpoint;

/// What a dialling node says first, before its id.
const MAGIC: &[u8; 4] = b"DPF1";
/// Connections that others may have open to this node; each costs a bounded buffer.
const ACCEPTED: usize = 256;
/// How long one that has dialled may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_millis(500);

pub(super) async fn join(
    endpoint: Endpoint,
    inbox: Rc<dyn Inbox>,
    panics: Panics,
) -> io::Result<Rc<dyn Transport>> {
    let listener = TcpListener::bind(&endpoint.listen).await?;
    let peers = Rc::new_cyclic(|this| Peers {
        this: this.clone(),
        me: endpoint.me,
        queue_bytes: endpoint.queue_bytes,
        inbox,
        panics,
        last_ticket: Cell::new(0),
        dialled: RefCell::default(),
        accepted: RefCell::default(),
    });
    for (id, address) in endpoint.peers {
        peers.add_peer(id, address);
    }
    let accepting = Rc::clone(&peers);
    peers.spawn(Box::pin(async move { accepting.accept(listener).await }));
    Ok(peers)
}

struct Peers {
    this: Weak<Self>,
    me: NodeId,
    queue_bytes: usize,
    inbox: Rc<dyn Inbox>,
    panics: Panics,
    last_ticket: Cell<Ticket>,
    /// Connections that this node has opened, or tries to open.
    dialled: RefCell<BTreeMap<NodeId, Dialled>>,
    /// The latest connection that each other node has opened.
    accepted: RefCell<BTreeMap<NodeId, Accepted>>,
}

struct Dialled {
    peer: Rc<Peer>,
    task: AbortHandle,
}

struct Peer {
    id: NodeId,
    address: String,
    outbox: Outbox,
    connected: Cell<bool>,
}

struct Accepted {
    outbox: Rc<Outbox>,
    /// Dropped when a later connection takes its place.
    _superseded: tokio::sync::oneshot::Sender<()>,
}

impl Transport for Peers {
    fn send(&self, to: NodeId, frame: Frame) -> Result<Ticket, SendError> {
        let ticket = self.last_ticket.get() + 1;
        self.last_ticket.set(ticket);
        let dialled = self.dialled.borrow();
        if let Some(dialled) = dialled.get(&to).filter(|it| it.peer.connected.get()) {
            return dialled.peer.outbox.push(ticket, frame);
        }
        match self.accepted.borrow().get(&to) {
            Some(accepted) => accepted.outbox.push(ticket, frame),
            None => Err(SendError::Disconnected),
        }
    }

    fn withdraw(&self, to: NodeId, ticket: Ticket) -> bool {
        (self.dialled.borrow().get(&to)).is_some_and(|it| it.peer.outbox.withdraw(ticket))
            || (self.accepted.borrow().get(&to)).is_some_and(|it| it.outbox.withdraw(ticket))
    }

    fn add_peer(&self, id: NodeId, address: String) {
        self.remove_peer(id);
        let Some(this) = self.this.upgrade() else {
            return;
        };
        let peer = Rc::new(Peer {
            id,
            address,
            outbox: Outbox::new(self.queue_bytes),
            connected: Cell::new(false),
        });
        let dialling = Rc::clone(&peer);
        let task = self.spawn(Box::pin(async move { this.dial(&dialling).await }));
        self.dialled.borrow_mut().insert(id, Dialled { peer, task });
    }

    fn remove_peer(&self, id: NodeId) {
        let removed = self.dialled.borrow_mut().remove(&id);
        if let Some(removed) = removed {
            removed.task.abort();
        }
    }
}

impl Peers {
    fn spawn(&self, coroutine: LocalFuture<()>) -> AbortHandle {
        tokio::task::spawn_local(self.panics.guard(coroutine)).abort_handle()
    }

    async fn dial(&self, peer: &Peer) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            if let Ok(mut stream) = TcpStream::connect(&peer.address).await
                && stream.set_nodelay(true).is_ok()
                && greet(&stream, self.hello()).await.is_ok()
            {
                backoff = FIRST_BACKOFF;
                peer.connected.set(true);
                let _reason = converse(&mut stream, peer.id, &peer.outbox, &self.inbox).await;
                peer.connected.set(false);
                peer.outbox.clear();
                self.inbox.disconnected(peer.id);
            }
            pause(backoff).await;
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }

    fn hello(&self) -> Bytes {
        [&MAGIC[..], &self.me.0.to_le_bytes()].concat().into()
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(ACCEPTED));
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: wait until there are some again.
                pause(LAST_BACKOFF).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                // Whoever it is comes back later.
                continue;
            };
            let this = Rc::clone(&self);
            self.spawn(Box::pin(async move {
                let _reason = this.receive(stream).await;
                drop(place);
            }));
        }
    }

    async fn receive(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut hello = [0; 8];
        tokio::time::timeout(HELLO_LIMIT, stream.read_exact(&mut hello)).await??;
        let [m, a, g, i, id @ ..] = hello;
        let peer = NodeId(u32::from_le_bytes(id));
        if [m, a, g, i] != *MAGIC || peer == self.me {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let outbox = Rc::new(Outbox::new(self.queue_bytes));
        let (superseded, later) = tokio::sync::oneshot::channel();
        let accepted = Accepted {
            outbox: Rc::clone(&outbox),
            _superseded: superseded,
        };
        let old = self.accepted.borrow_mut().insert(peer, accepted);
        drop(old);
        let result = tokio::select! {
            ended = converse(&mut stream, peer, &outbox, &self.inbox) => ended,
            _ = later => Ok(()),
        };
        self.accepted
            .borrow_mut()
            .retain(|_, accepted| !Rc::ptr_eq(&accepted.outbox, &outbox));
        self.inbox.disconnected(peer);
        result
    }
}

async fn pause(delay: Duration) {
    // The runtime's own timer is enough for a pause that nothing waits for.
    tokio::time::sleep(delay).await;
}
