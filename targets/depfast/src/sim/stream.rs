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
use crate::time::Instant;

/// What fits into one direction of a connection.
const WINDOW: usize = 64 << 10;
/// How long bytes of the test's own clients take.
const DELAY: Duration = Duration::from_micros(50);
/// How long it takes until what was lost is sent again.
const RETRANSMISSION: Duration = Duration::from_millis(50);

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

pub(super) fn connect(
    world: &Rc<World>,
    client: Option<NodeId>,
    address: &str,
) -> io::Result<Stream> {
    let backlog = world
        .listeners
        .borrow()
        .get(address)
        .cloned()
        .ok_or(io::ErrorKind::ConnectionRefused)?;
    let server = backlog.node;
    if let Some(client) = client {
        let network = world.network.borrow();
        if network.is_cut(client, server) || network.is_cut(server, client) {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    let there = Rc::new(Pipe::new(client.map(|client| (client, server))));
    let back = Rc::new(Pipe::new(client.map(|client| (server, client))));
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
pub(super) struct Pipe {
    /// From whom to whom, if the network between them matters.
    way: Option<(NodeId, NodeId)>,
    /// Written but not arrived; `None` is the end.
    under_way: RefCell<VecDeque<Option<Vec<u8>>>>,
    last_arrival: Cell<Instant>,
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
    fn new(way: Option<(NodeId, NodeId)>) -> Self {
        Self {
            way,
            under_way: RefCell::default(),
            last_arrival: Cell::default(),
            arrived: RefCell::default(),
            outstanding: Cell::default(),
            state: Cell::default(),
            reader: Cell::default(),
            writer: Cell::default(),
        }
    }

    /// Sends bytes, or the end, on their way. They arrive in order, whatever the link does.
    fn send(self: &Rc<Self>, world: &World, bytes: Option<Vec<u8>>) {
        self.under_way.borrow_mut().push_back(bytes);
        let mut delay = DELAY;
        if let Some((from, to)) = self.way {
            let (network, mut rng) = (world.network.borrow(), world.rng.borrow_mut());
            let link = network.link(from, to);
            delay = rng.duration(&link.delay);
            if rng.chance(link.loss) {
                delay += RETRANSMISSION;
            }
        }
        let arrival = (world.now() + delay).max(self.last_arrival.get());
        self.last_arrival.set(arrival);
        let pipe = Rc::clone(self);
        world.schedule(arrival.since(world.now()), move |world| pipe.arrive(world));
    }

    fn arrive(self: Rc<Self>, world: &Rc<World>) {
        let is_cut = |(from, to)| world.network.borrow().is_cut(from, to);
        if self.way.is_some_and(is_cut) && self.state.get() == State::Open {
            return world.schedule(RETRANSMISSION, move |world| self.arrive(world));
        }
        let first = self.under_way.borrow_mut().pop_front();
        match first {
            Some(Some(bytes)) => {
                self.arrived.borrow_mut().extend(bytes);
                self.wake(&self.reader);
            }
            Some(None) => self.end(State::Closed),
            None => {}
        }
    }

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
            let (first, second) = arrived.as_slices();
            into.extend_from_slice(first);
            into.extend_from_slice(second);
            arrived.clear();
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
        if let Some(world) = self.world.upgrade() {
            self.write.send(&world, Some(taken));
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
        if let Some(world) = self.world.upgrade() {
            self.write.send(&world, None);
        }
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.close();
    }
}
