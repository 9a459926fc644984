//! Coroutines whose panic is not lost.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;

use tokio::sync::Notify;

use crate::env::LocalFuture;

/// The first panic of any coroutine.
#[derive(Clone, Default)]
pub(super) struct Panics(Rc<Inner>);

#[derive(Default)]
struct Inner {
    first: RefCell<Option<Box<dyn Any + Send>>>,
    happened: Notify,
}

impl Panics {
    pub(super) fn guard(
        &self,
        mut coroutine: LocalFuture<()>,
    ) -> impl Future<Output = ()> + 'static {
        let panics = self.clone();
        poll_fn(
            move |cx| match catch_unwind(AssertUnwindSafe(|| coroutine.as_mut().poll(cx))) {
                Ok(poll) => poll,
                Err(payload) => {
                    panics.0.first.borrow_mut().get_or_insert(payload);
                    panics.0.happened.notify_one();
                    Poll::Ready(())
                }
            },
        )
    }

    pub(super) async fn wait(&self) -> Box<dyn Any + Send> {
        loop {
            if let Some(payload) = self.0.first.borrow_mut().take() {
                return payload;
            }
            self.0.happened.notified().await;
        }
    }
}
