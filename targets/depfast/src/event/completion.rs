//! A result that arrives once.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What is to happen with the result when it arrives.
enum State<T> {
    Pending { waker: Option<Waker> },
    Observed(Box<dyn FnOnce(T)>),
    Done(T),
    Taken,
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
        Self(Rc::new(RefCell::new(State::Pending { waker: None })))
    }
}

impl<T> Completion<T> {
    /// A result that is there from the start.
    pub(crate) fn done(value: T) -> Self {
        Self(Rc::new(RefCell::new(State::Done(value))))
    }

    /// Delivers the result. Only the first delivery counts: a duplicated reply changes nothing.
    pub(crate) fn complete(&self, value: T) {
        let old = self.0.replace(State::Taken);
        match old {
            State::Pending { waker } => {
                self.0.replace(State::Done(value));
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Observed(observer) => observer(value),
            State::Done(first) => {
                self.0.replace(State::Done(first));
            }
            State::Taken => {}
        }
    }

    /// Hands the result to `observer` instead of to a waiting coroutine: no coroutine has to exist for it.
    pub(crate) fn observe(&self, observer: impl FnOnce(T) + 'static) {
        let old = self.0.replace(State::Taken);
        match old {
            State::Done(value) => observer(value),
            State::Pending { .. } => {
                self.0.replace(State::Observed(Box::new(observer)));
            }
            State::Observed(_) | State::Taken => unreachable!("an event is consumed once"),
        }
    }

    /// Looks at a result that is there and not consumed.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        match &*self.0.borrow() {
            State::Done(value) => Some(look(value)),
            State::Pending { .. } | State::Observed(_) | State::Taken => None,
        }
    }

    pub(crate) fn poll_take(&self, cx: &Context<'_>) -> Poll<T> {
        let mut state = self.0.borrow_mut();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Done(value) => Poll::Ready(value),
            State::Pending { .. } => {
                *state = State::Pending {
                    waker: Some(cx.waker().clone()),
                };
                Poll::Pending
            }
            State::Observed(_) | State::Taken => unreachable!("an event is consumed once"),
        }
    }
}
