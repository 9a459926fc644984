//! One client: requests are read as they come, answers go out in the same order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use bytes::{Buf, Bytes, BytesMut};
use depfast::{Stream, ValueEvent};
use resp::{Protocol, RequestParser, encode};

use super::commands::{self, Done};
use super::{Front, Shared, Ticket};
use crate::command::SessionId;

/// Requests are read in pieces of this size; a larger one grows its buffer.
const READ_SIZE: usize = 16 << 10;

pub(super) struct Connection {
    id: i64,
    stream: Stream,
    shared: Rc<Shared>,
    protocol: Cell<Protocol>,
    /// Whose commands come with `DF.DO`.
    session: Cell<Option<SessionId>>,
    name: RefCell<Bytes>,
    issued: Cell<u64>,
    answers: RefCell<Answers>,
    /// Whether it is in the flusher's list, or waits for the client to read.
    flushing: Cell<bool>,
    /// The coroutine that reads waits here for room.
    room: ValueEvent<()>,
    full: Cell<bool>,
}

#[derive(Default)]
struct Answers {
    out: BytesMut,
    /// Whose turn it is.
    next: u64,
    /// Answers that came before their turn.
    early: BTreeMap<u64, Bytes>,
    early_bytes: usize,
    /// The client reads too little: it was let go, and answers are dropped.
    dropped: bool,
}

/// What became of the answers that wait to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    AllThereIs,
    Partly,
}

/// Serves a new client in the background.
pub(super) fn start(shared: &Rc<Shared>, stream: Stream) {
    let id = shared.accepted.get() + 1;
    shared.accepted.set(id);
    let connection = Rc::new(Connection {
        id,
        stream,
        shared: Rc::clone(shared),
        protocol: Cell::default(),
        session: Cell::default(),
        name: RefCell::default(),
        issued: Cell::new(0),
        answers: RefCell::default(),
        flushing: Cell::new(false),
        room: ValueEvent::new(&shared.front.env, ()),
        full: Cell::new(false),
    });
    let count = shared.connections.get();
    if count >= shared.front.limits.connections {
        let _the_client_sees_the_end = connection
            .stream
            .try_write(b"-ERR max number of clients reached\r\n");
        connection.stream.close();
        return;
    }
    shared.connections.set(count + 1);
    shared.front.env.spawn(async move {
        let _broken_or_ended = connection.serve().await;
        connection.all_answered().await;
        connection.stream.close();
        let connections = &connection.shared.connections;
        connections.set(connections.get() - 1);
    });
}

impl Connection {
    pub(super) fn front(&self) -> &Front {
        &self.shared.front
    }

    pub(super) const fn id(&self) -> i64 {
        self.id
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.protocol.get()
    }

    pub(super) fn set_protocol(&self, protocol: Protocol) {
        self.protocol.set(protocol);
    }

    pub(super) const fn session(&self) -> Option<SessionId> {
        self.session.get()
    }

    pub(super) fn bind(&self, session: Option<SessionId>) {
        self.session.set(session);
    }

    pub(super) fn name(&self) -> Bytes {
        self.name.borrow().clone()
    }

    pub(super) fn set_name(&self, name: &[u8]) {
        *self.name.borrow_mut() = Bytes::copy_from_slice(name);
    }

    /// Makes it as it was in the beginning.
    pub(super) fn reset(&self) {
        self.set_protocol(Protocol::default());
        self.bind(None);
        self.set_name(b"");
    }

    async fn serve(self: &Rc<Self>) -> io::Result<()> {
        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        let mut parser = RequestParser::new(self.shared.front.limits.wire());
        loop {
            if self.stream.read(&mut buffer).await? == 0 {
                return Ok(());
            }
            loop {
                self.wait_for_room().await;
                let request = match parser.next(&buffer) {
                    Ok(Some(request)) => request,
                    Ok(None) => break,
                    Err(malformed) => {
                        let text = self.shared.front.limits.explain(malformed);
                        self.ticket(b"").answer(|out| encode::error(out, &text));
                        return Ok(());
                    }
                };
                let length = request.length();
                if request.arg_count() > 0 && commands::serve(self, &request) == Done::Close {
                    return Ok(());
                }
                buffer.advance(length);
            }
            if buffer.is_empty() {
                buffer.clear();
            }
            buffer.reserve(READ_SIZE / 4);
        }
    }

    /// The claim of the next request, whose first key this is, to its answer.
    pub(super) fn ticket(self: &Rc<Self>, key: &[u8]) -> Ticket {
        let turn = self.issued.get();
        self.issued.set(turn + 1);
        Ticket {
            connection: Rc::downgrade(self),
            turn,
            slot: resp::slot(key),
            protocol: self.protocol.get(),
        }
    }

    /// Whose turn it is to be answered.
    pub(super) fn turn(&self) -> u64 {
        self.answers.borrow().next
    }

    /// Appends an answer, or keeps it until those before it are there.
    pub(super) fn answer(this: &Rc<Self>, turn: u64, write: impl FnOnce(&mut BytesMut)) {
        let mut answers = this.answers.borrow_mut();
        let Answers {
            out,
            next,
            early,
            early_bytes,
            dropped,
        } = &mut *answers;
        if turn == *next {
            write(out);
            *next += 1;
            while let Some(answer) = early.remove(next) {
                out.extend_from_slice(&answer);
                *early_bytes -= answer.len();
                *next += 1;
            }
        } else {
            let mut answer = BytesMut::new();
            write(&mut answer);
            *early_bytes += answer.len();
            early.insert(turn, answer.freeze());
        }
        if out.len() + *early_bytes > this.shared.front.limits.answer_bytes {
            *dropped = true;
            this.stream.close();
        }
        if *dropped {
            out.clear();
            early.values_mut().for_each(Bytes::clear);
            *early_bytes = 0;
        }
        drop(answers);
        if !this.flushing.replace(true) {
            this.shared.flusher.add(this);
        }
    }

    /// Sends what has been answered. If the client does not read it, a coroutine goes on when it does.
    pub(super) fn flush(self: &Rc<Self>) {
        if self.send_some() == Sent::Partly {
            let this = Rc::clone(self);
            self.shared.front.env.spawn(async move {
                while this.stream.writable().await.is_ok() && this.send_some() == Sent::Partly {}
                this.answers.borrow_mut().out.clear();
                this.flushed();
            });
        } else {
            self.flushed();
        }
    }

    /// Sends until all is sent or nothing more fits; what a broken connection would have got is dropped.
    fn send_some(&self) -> Sent {
        let mut answers = self.answers.borrow_mut();
        while !answers.out.is_empty() {
            match self.stream.try_write(&answers.out) {
                Ok(sent) => answers.out.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Partly,
                Err(_broken) => break,
            }
        }
        answers.out.clear();
        Sent::AllThereIs
    }

    fn flushed(&self) {
        self.flushing.set(false);
        if self.full.get() {
            self.room.set(());
        }
    }

    /// Whether the client has to take answers before it is asked for more requests.
    fn is_full(&self) -> bool {
        let limits = &self.shared.front.limits;
        let answers = self.answers.borrow();
        self.issued.get() - answers.next >= limits.pipeline
            || answers.out.len() >= limits.unread_bytes
    }

    async fn wait_for_room(&self) {
        if self.is_full() {
            self.full.set(true);
            self.room.wait("pipeline room", |()| !self.is_full()).await;
            self.full.set(false);
        }
    }

    async fn all_answered(&self) {
        self.full.set(true);
        let done = |(): &()| {
            let answers = self.answers.borrow();
            self.issued.get() == answers.next && answers.out.is_empty()
        };
        self.room.wait("last answers", done).await;
    }
}
