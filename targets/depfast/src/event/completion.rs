//! A result that arrives once.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What is to happen with the result when it arrives.
enum State<T> {
    Pending(Pending<T>),
    Done(T),
    Taken,
}

type Watcher<T> = Box<dyn FnOnce(&T)>;

struct Pending<T> {
    waker: Option<Waker>,
    /// Those that look at the result before it goes to whom it is for.
    watchers: Vec<Watcher<T>>,
    observer: Option<Box<dyn FnOnce(T)>>,
}

/// The producer's and the consumer's common end of a [`RpcEvent`](super::RpcEvent) or [`DiskEvent`](super::DiskEvent).
pub(crate) struct Completion<T>(Rc<RefCell<State<T>>>);

impl<T> Clone for Completion<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Default for Completion<T> {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(State::Pending(Pending {
            waker: None,
            watchers: Vec::new(),
            observer: None,
        }))))
    }
}

impl<T> Completion<T> {
    /// A result that is there from the start.
    pub(crate) fn done(value: T) -> Self {
        Self(Rc::new(RefCell::new(State::Done(value))))
    }

    fn is_pending(&self) -> bool {
        matches!(&*self.0.borrow(), State::Pending(_))
    }

    /// Delivers the result. Only the first delivery counts: a duplicated reply changes nothing.
    pub(crate) fn complete(&self, value: T) {
        if !self.is_pending() {
            return;
        }
        let State::Pending(pending) = self.0.replace(State::Taken) else {
            return;
        };
        for watcher in pending.watchers {
            watcher(&value);
        }
        if let Some(observer) = pending.observer {
            return observer(value);
        }
        self.0.replace(State::Done(value));
        if let Some(waker) = pending.waker {
            waker.wake();
        }
    }

    /// The result will never come, and whoever awaits it is gone as well.
    pub(crate) fn forget(&self) {
        let gone = self.0.replace(State::Taken);
        drop(gone);
    }

    /// Shows the result to `watcher`, and leaves it to whom it is for.
    pub(crate) fn watch(&self, watcher: impl FnOnce(&T) + 'static) {
        let done = {
            let mut state = self.0.borrow_mut();
            match &mut *state {
                State::Pending(pending) => return pending.watchers.push(Box::new(watcher)),
                State::Done(_) => std::mem::replace(&mut *state, State::Taken),
                State::Taken => return,
            }
        };
        if let State::Done(value) = done {
            watcher(&value);
            self.0.replace(State::Done(value));
        }
    }

    /// Hands the result to `observer` instead of to a waiting coroutine: no coroutine has to exist for it.
    pub(crate) fn observe(&self, observer: impl FnOnce(T) + 'static) {
        let done = {
            let mut state = self.0.borrow_mut();
            if let State::Pending(pending) = &mut *state {
                pending.observer = Some(Box::new(observer));
                return;
            }
            std::mem::replace(&mut *state, State::Taken)
        };
        match done {
            State::Done(value) => observer(value),
            State::Pending(_) | State::Taken => unreachable!("an event is consumed once"),
        }
    }

    /// Looks at a result that is there and not consumed.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        match &*self.0.borrow() {
            State::Done(value) => Some(look(value)),
            State::Pending(_) | State::Taken => None,
        }
    }

    /// Waits for the result without taking it.
    pub(crate) fn poll_done(&self, cx: &Context<'_>) -> Poll<()> {
        match &mut *self.0.borrow_mut() {
            State::Pending(pending) => {
                pending.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Done(_) | State::Taken => Poll::Ready(()),
        }
    }

    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<T> {
        if self.poll_done(cx).is_pending() {
            return Poll::Pending;
        }
        match self.0.replace(State::Taken) {
            State::Done(value) => Poll::Ready(value),
            State::Pending(_) | State::Taken => unreachable!("an event is consumed once"),
        }
    }
}
