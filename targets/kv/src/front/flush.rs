//! Sends answers: whatever the replica answers in one go leaves with one write per connection.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use depfast::{Env, ValueEvent};

use super::Connection;

pub(super) struct Flusher {
    /// A connection's own coroutine keeps it until everything is sent; it holds this.
    waiting: RefCell<Vec<Weak<Connection>>>,
    any: ValueEvent<bool>,
}

impl Flusher {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            waiting: RefCell::default(),
            any: ValueEvent::new(env, false),
        }
    }

    pub(super) fn add(&self, connection: &Rc<Connection>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.push(Rc::downgrade(connection));
        if waiting.len() == 1 {
            self.any.set(true);
        }
    }

    pub(super) async fn run(&self) {
        let mut batch = Vec::new();
        loop {
            self.any.wait("answers", |any| *any).await;
            std::mem::swap(&mut batch, &mut self.waiting.borrow_mut());
            self.any.set(false);
            for connection in batch.drain(..).filter_map(|one| one.upgrade()) {
                connection.flush();
            }
        }
    }
}
