//! One TCP connection between two nodes, used in both directions.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;

use super::queue::Queue;
use crate::env::{Frame, Inbox, SendError, Ticket};
use crate::id::NodeId;

/// No frame of any protocol here is larger; a larger one is not a peer.
const FRAME_LIMIT: usize = 64 << 20;
/// How much one peer may make us handle before others get their turn, in bytes and in messages: answers that a slow
/// peer held back arrive all at once, and are worth least.
const READ_BUDGET: usize = 256 << 10;
const MESSAGE_BUDGET: usize = 256;
const READ_AHEAD: usize = 64 << 10;

/// What is to be said to the other side.
pub(super) struct Outbox {
    queue: RefCell<Queue>,
    filled: Notify,
}

impl Outbox {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            queue: RefCell::new(Queue::new(limit)),
            filled: Notify::new(),
        }
    }

    pub(super) fn push(&self, ticket: Ticket, frame: Frame) -> Result<Ticket, SendError> {
        self.queue.borrow_mut().push(ticket, frame)?;
        self.filled.notify_one();
        Ok(ticket)
    }

    pub(super) fn withdraw(&self, ticket: Ticket) -> bool {
        self.queue.borrow_mut().withdraw(ticket)
    }

    pub(super) fn clear(&self) {
        self.queue.borrow_mut().clear();
    }
}

/// Sends what comes into `outbox` and delivers what is heard, until either direction ends.
pub(super) async fn converse(
    stream: &mut TcpStream,
    peer: NodeId,
    outbox: &Outbox,
    inbox: &Rc<dyn Inbox>,
) -> io::Result<()> {
    let (from_peer, to_peer) = stream.split();
    tokio::select! {
        sent = send_frames(&to_peer, outbox) => sent,
        received = receive_frames(from_peer, peer, inbox) => received,
    }
}

/// Sends one message that is in no queue.
pub(super) async fn greet(stream: &TcpStream, mut hello: Bytes) -> io::Result<()> {
    while hello.has_remaining() {
        stream.writable().await?;
        match stream.try_write(&hello) {
            Ok(written) => hello.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn send_frames(to_peer: &WriteHalf<'_>, outbox: &Outbox) -> io::Result<()> {
    loop {
        if outbox.queue.borrow().is_empty() {
            outbox.filled.notified().await;
            continue;
        }
        let sent = outbox
            .queue
            .borrow_mut()
            .drain(|slices| to_peer.try_write_vectored(slices));
        match sent {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to_peer.writable().await?,
            Err(error) => return Err(error),
        }
    }
}

async fn receive_frames(
    mut from_peer: ReadHalf<'_>,
    peer: NodeId,
    inbox: &Rc<dyn Inbox>,
) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_AHEAD);
    let (mut bytes, mut messages) = (0, 0);
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
            bytes += length;
            messages += 1;
            if bytes > READ_BUDGET || messages > MESSAGE_BUDGET {
                (bytes, messages) = (0, 0);
                tokio::task::yield_now().await;
            }
        }
        if buffer.capacity() - buffer.len() < READ_AHEAD / 4 {
            buffer.reserve(READ_AHEAD);
        }
        if from_peer.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}
