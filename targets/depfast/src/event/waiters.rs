//! The coroutines suspended on one event.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Whom to wake.
#[derive(Default)]
pub(crate) struct Waiters {
    list: RefCell<Vec<(u64, Waker)>>,
    last_id: Cell<u64>,
}

/// One coroutine's place among the waiters; it is given up when this is dropped.
pub(super) struct Place<'a> {
    waiters: &'a Waiters,
    id: u64,
}

impl Waiters {
    /// A place for a coroutine that may have to wait.
    pub(super) fn place(&self) -> Place<'_> {
        self.last_id.set(self.last_id.get() + 1);
        Place {
            waiters: self,
            id: self.last_id.get(),
        }
    }

    /// Suspends the coroutine until `reached` holds, which it looks at whenever it is woken.
    pub(crate) async fn wait_until(&self, reached: impl Fn() -> bool) {
        let place = self.place();
        poll_fn(|cx| {
            if reached() {
                return Poll::Ready(());
            }
            place.wait(cx);
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn wake_all(&self) {
        // One by one, so that the list keeps its memory.
        loop {
            let next = self.list.borrow_mut().pop();
            let Some((_, waker)) = next else { return };
            waker.wake();
        }
    }
}

impl Place<'_> {
    /// Has the coroutine woken when the event changes.
    pub(super) fn wait(&self, cx: &Context<'_>) {
        let mut list = self.waiters.list.borrow_mut();
        match list.iter_mut().find(|(id, _)| *id == self.id) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => list.push((self.id, cx.waker().clone())),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiters
            .list
            .borrow_mut()
            .retain(|(id, _)| *id != self.id);
    }
}
