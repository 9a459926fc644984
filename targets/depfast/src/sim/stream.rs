//! Connections of clients: bytes arrive in order, a little later; a crash resets them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;

use super::world::World;
use crate::id::NodeId;
use crate::stream::{Listener, ListenerBackend, Stream, StreamBackend};

/// What fits into one direction of a connection.
const WINDOW: usize = 64 << 10;
const DELAY: Duration = Duration::from_micros(50);

/// Clients that wait to be accepted.
pub(super) struct Backlog {
    pub(super) node: NodeId,
    address: String,
    waiting: RefCell<VecDeque<Stream>>,
    waker: Cell<Option<Waker>>,
}

pub(super) fn listen(world: &Rc<World>, node: NodeId, address: String) -> io::Result<Listener> {
    let mut listeners = world.listeners.borrow_mut();
    if listeners.contains_key(&address) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let waiting = RefCell::default();
    let backlog = Rc::new(Backlog {
        node,
        address: address.clone(),
        waiting,
        waker: Cell::new(None),
    });
    listeners.insert(address, Rc::clone(&backlog));
    Ok(Listener(Box::new(SimListener(backlog))))
}

pub(super) fn connect(world: &Rc<World>, address: &str) -> io::Result<Stream> {
    let backlog = world
        .listeners
        .borrow()
        .get(address)
        .cloned()
        .ok_or(io::ErrorKind::ConnectionRefused)?;
    let (there, back) = (Rc::new(Pipe::default()), Rc::new(Pipe::default()));
    world.add_pipe(backlog.node, &there);
    world.add_pipe(backlog.node, &back);
    let end = |read: &Rc<Pipe>, write: &Rc<Pipe>| {
        Stream(Rc::new(SimStream {
            world: Rc::downgrade(world),
            read: Rc::clone(read),
            write: Rc::clone(write),
        }))
    };
    backlog.waiting.borrow_mut().push_back(end(&there, &back));
    if let Some(waker) = backlog.waker.take() {
        waker.wake();
    }
    Ok(end(&back, &there))
}

struct SimListener(Rc<Backlog>);

impl ListenerBackend for SimListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        if let Some(stream) = self.0.waiting.borrow_mut().pop_front() {
            return Poll::Ready(Ok(stream));
        }
        self.0.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn address(&self) -> String {
        self.0.address.clone()
    }
}

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Pipe {
    arrived: RefCell<VecDeque<u8>>,
    /// Written but not yet read.
    outstanding: Cell<usize>,
    state: Cell<State>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Closed,
    Reset,
}

impl Pipe {
    pub(super) fn reset(&self) {
        self.end(State::Reset);
    }

    fn end(&self, state: State) {
        if self.state.get() == State::Open {
            self.state.set(state);
        }
        self.wake(&self.reader);
        self.wake(&self.writer);
    }

    fn wake(&self, side: &Cell<Option<Waker>>) {
        if let Some(waker) = side.take() {
            waker.wake();
        }
    }
}

struct SimStream {
    world: Weak<World>,
    read: Rc<Pipe>,
    write: Rc<Pipe>,
}

impl StreamBackend for SimStream {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<io::Result<usize>> {
        if self.read.state.get() == State::Reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut arrived = self.read.arrived.borrow_mut();
        if !arrived.is_empty() {
            let count = arrived.len();
            into.extend(arrived.drain(..));
            self.read
                .outstanding
                .set(self.read.outstanding.get() - count);
            self.read.wake(&self.read.writer);
            return Poll::Ready(Ok(count));
        }
        if self.read.state.get() == State::Closed {
            return Poll::Ready(Ok(0));
        }
        self.read.reader.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.write.state.get() != State::Open {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = WINDOW - self.write.outstanding.get();
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = bytes[..bytes.len().min(room)].to_vec();
        let count = taken.len();
        self.write
            .outstanding
            .set(self.write.outstanding.get() + count);
        let pipe = Rc::clone(&self.write);
        if let Some(world) = self.world.upgrade() {
            world.schedule(DELAY, move |_| {
                pipe.arrived.borrow_mut().extend(taken);
                pipe.wake(&pipe.reader);
            });
        }
        Ok(count)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write.state.get() != State::Open || self.write.outstanding.get() < WINDOW {
            return Poll::Ready(Ok(()));
        }
        self.write.writer.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn close(&self) {
        self.read.end(State::Closed);
        // What is under way still arrives before the end does.
        let pipe = Rc::clone(&self.write);
        if let Some(world) = self.world.upgrade() {
            world.schedule(DELAY, move |_| pipe.end(State::Closed));
        }
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.close();
    }
}
