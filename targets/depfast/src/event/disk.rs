//! Waiting for the node's own disk.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;

use super::completion::Completion;
use super::{Event, Outcome};
use crate::env::Env;
use crate::trace::{Dependency, WaitsOn};

/// A file operation that an I/O thread carries out.
#[must_use = "the result of a file operation says whether it happened"]
pub struct DiskEvent<T> {
    pub(crate) completion: Completion<io::Result<T>>,
    pub(crate) env: Env,
}

impl<T> DiskEvent<T> {
    /// Suspends the coroutine until the operation is finished.
    ///
    /// # Errors
    ///
    /// Passes on the error of the operation.
    pub async fn wait(self, label: &'static str) -> io::Result<T> {
        let mut waiting = None;
        let result = poll_fn(|cx| match self.completion.poll_take(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => {
                waiting.get_or_insert_with(|| self.env.begin_wait(label, WaitsOn::Disk));
                Poll::Pending
            }
        });
        let on = || WaitsOn::Disk.to_string();
        let result = self.env.within_default(label, on, result).await;
        result.unwrap_or_else(|| {
            let stalled = format!("{label}: the default timeout was reached");
            Err(io::Error::new(io::ErrorKind::TimedOut, stalled))
        })
    }
}

/// Success triggers it, an error fails it.
impl<T> Event for DiskEvent<T> {
    fn decided(&self) -> Option<Outcome> {
        self.completion.peek(|result| match result {
            Ok(_) => Outcome::Ready,
            Err(_) => Outcome::Fail,
        })
    }

    fn decision(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(poll_fn(|cx| self.completion.poll_done(cx)))
    }

    fn dependencies(&self) -> Vec<Dependency> {
        vec![Dependency::new(WaitsOn::Disk, Vec::new())]
    }
}
