//! Waiting for the node's own disk.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

use super::completion::Completion;
use crate::trace::{Trace, WaitsOn};

/// A file operation that an I/O thread carries out.
#[must_use = "the result of a file operation says whether it happened"]
pub struct DiskEvent<T> {
    pub(crate) completion: Completion<io::Result<T>>,
    pub(crate) trace: Rc<Trace>,
}

impl<T> DiskEvent<T> {
    /// Suspends the coroutine until the operation is finished.
    ///
    /// # Errors
    ///
    /// Passes on the error of the operation.
    pub async fn wait(self, label: &'static str) -> io::Result<T> {
        let mut waiting = None;
        poll_fn(|cx| match self.completion.poll_take(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => {
                waiting.get_or_insert_with(|| self.trace.begin(label, WaitsOn::Disk));
                Poll::Pending
            }
        })
        .await
    }
}
