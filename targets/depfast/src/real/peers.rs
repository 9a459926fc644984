//! Connections between nodes. Each node dials each peer and sends everything it has to say over that connection, calls
//! and answers alike; what it hears comes over the connections that its peers dialled.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::coroutine::Panics;
use super::queue::Queue;
use crate::env::{Frame, Inbox, LocalFuture, SendError, Transport};
use crate::id::NodeId;
use crate::rpc::Endpoint;

/// What a dialling node says first, before its id.
const MAGIC: &[u8; 4] = b"DPF1";
/// No frame of any protocol here is larger; a larger one is not a peer.
const FRAME_LIMIT: usize = 64 << 20;
/// How much one peer may make us handle before others get their turn.
const READ_BUDGET: usize = 256 << 10;
const READ_AHEAD: usize = 64 << 10;
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_millis(500);

pub(super) async fn join(
    endpoint: Endpoint,
    inbox: Rc<dyn Inbox>,
    panics: Panics,
) -> io::Result<Rc<dyn Transport>> {
    let listener = TcpListener::bind(&endpoint.listen).await?;
    let start = |coroutine: LocalFuture<()>| {
        tokio::task::spawn_local(panics.guard(coroutine));
    };
    let mut peers = BTreeMap::new();
    for (id, address) in endpoint.peers {
        let peer = Rc::new(Peer {
            id,
            address,
            queue: RefCell::new(Queue::new(endpoint.queue_bytes)),
            connected: Cell::new(false),
            filled: Notify::new(),
        });
        start(Box::pin(dial(
            endpoint.me,
            Rc::clone(&peer),
            Rc::clone(&inbox),
        )));
        peers.insert(id, peer);
    }
    let known: Vec<_> = peers.keys().copied().collect();
    start(Box::pin(accept(listener, known, inbox, panics.clone())));
    Ok(Rc::new(Peers(peers)))
}

struct Peers(BTreeMap<NodeId, Rc<Peer>>);

struct Peer {
    id: NodeId,
    address: String,
    queue: RefCell<Queue>,
    connected: Cell<bool>,
    filled: Notify,
}

impl Transport for Peers {
    fn send(&self, to: NodeId, frame: Frame) -> Result<(), SendError> {
        let peer = self
            .0
            .get(&to)
            .filter(|peer| peer.connected.get())
            .ok_or(SendError::Disconnected)?;
        peer.queue.borrow_mut().push(frame)?;
        peer.filled.notify_one();
        Ok(())
    }
}

async fn dial(me: NodeId, peer: Rc<Peer>, inbox: Rc<dyn Inbox>) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        if let Ok(mut stream) = TcpStream::connect(&peer.address).await
            && stream.set_nodelay(true).is_ok()
        {
            backoff = FIRST_BACKOFF;
            peer.connected.set(true);
            let _reason = send_all(me, &peer, &mut stream).await;
            peer.connected.set(false);
            peer.queue.borrow_mut().clear();
            inbox.disconnected(peer.id);
        }
        pause(backoff).await;
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

async fn pause(delay: Duration) {
    // The runtime's own timer is enough for a pause that nothing waits for.
    tokio::time::sleep(delay).await;
}

async fn send_all(me: NodeId, peer: &Peer, stream: &mut TcpStream) -> io::Result<()> {
    let mut hello = MAGIC.to_vec();
    hello.extend_from_slice(&me.0.to_le_bytes());
    let (mut from_peer, to_peer) = stream.split();
    let mut unsent = Queue::new(usize::MAX);
    unsent
        .push(vec![hello.into()])
        .expect("an empty queue takes anything");
    let mut nothing = [0];
    loop {
        let sent = if unsent.is_empty() {
            peer.queue
                .borrow_mut()
                .drain(|slices| to_peer.try_write_vectored(slices))
        } else {
            unsent.drain(|slices| to_peer.try_write_vectored(slices))
        };
        match sent {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to_peer.writable().await?,
            Err(error) => return Err(error),
        }
        if unsent.is_empty() && peer.queue.borrow().is_empty() {
            tokio::select! {
                () = peer.filled.notified() => {}
                // The peer sends nothing on this connection, so any end of a read is the end of the connection.
                _ = from_peer.read(&mut nothing) => return Ok(()),
            }
        }
    }
}

async fn accept(listener: TcpListener, known: Vec<NodeId>, inbox: Rc<dyn Inbox>, panics: Panics) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: wait until there are some again.
            pause(LAST_BACKOFF).await;
            continue;
        };
        let (known, inbox) = (known.clone(), Rc::clone(&inbox));
        tokio::task::spawn_local(panics.guard(Box::pin(async move {
            let _reason = receive_all(stream, &known, &inbox).await;
        })));
    }
}

async fn receive_all(
    mut stream: TcpStream,
    known: &[NodeId],
    inbox: &Rc<dyn Inbox>,
) -> io::Result<()> {
    let mut hello = [0; 8];
    stream.read_exact(&mut hello).await?;
    let [m, a, g, i, id @ ..] = hello;
    let peer = NodeId(u32::from_le_bytes(id));
    if [m, a, g, i] != *MAGIC || !known.contains(&peer) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let result = receive_frames(&mut stream, peer, inbox).await;
    inbox.disconnected(peer);
    result
}

async fn receive_frames(
    stream: &mut TcpStream,
    peer: NodeId,
    inbox: &Rc<dyn Inbox>,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_AHEAD);
    let mut handled = 0;
    loop {
        while let Some(length) = buffer
            .first_chunk()
            .map(|bytes| u32::from_le_bytes(*bytes) as usize)
        {
            if length > FRAME_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if buffer.len() < 4 + length {
                buffer.reserve(4 + length - buffer.len());
                break;
            }
            buffer.advance(4);
            inbox.deliver(peer, buffer.split_to(length).freeze());
            handled += length;
            if handled > READ_BUDGET {
                handled = 0;
                tokio::task::yield_now().await;
            }
        }
        if buffer.capacity() - buffer.len() < READ_AHEAD / 4 {
            buffer.reserve(READ_AHEAD);
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}
