//! The default timeout: for debugging, an end of every wait that depends on somebody else.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::compound::Event;
use crate::detect::{Alert, Finding};
use crate::env::Env;

/// How long a wait may take that has no limit of its own; nothing ends it as long as none is set.
#[derive(Default)]
pub(crate) struct DefaultTimeout(Cell<Option<Duration>>);

impl Env {
    /// From now on, ends each wait of this node for a quorum, a peer, its disk or a compound event that takes longer than
    /// `limit`, and raises an alert of the name `stall` that names the point of the code and on whom it waits: for
    /// debugging. `None`, as it is from the start, has every wait go on until its event is decided.
    ///
    /// Quorums and compound events end with [`Outcome::Timeout`](crate::Outcome::Timeout), calls with
    /// [`RpcError::TimedOut`](crate::RpcError::TimedOut), file operations with an error of kind
    /// [`TimedOut`](std::io::ErrorKind::TimedOut); what was waited for may still happen. Values are left out, for they may
    /// rightly stay as they are for long; [`StallDetector`](crate::detect::StallDetector) names those waits too.
    pub fn set_default_timeout(&self, limit: Option<Duration>) {
        self.default_timeout().0.set(limit);
    }

    /// Waits for `event` as long as the default timeout allows; `None` says that it was reached, which is an alert.
    pub(crate) async fn within_default<F: Future>(
        &self,
        label: &'static str,
        on: impl FnOnce() -> String,
        event: F,
    ) -> Option<F::Output> {
        let Some(limit) = self.default_timeout().0.get() else {
            return Some(event.await);
        };
        let began = self.now();
        let alarm = self.timeout(label, limit);
        // The wait is traced as what it is for, and not as one for the clock.
        let mut over = alarm.decision();
        let mut event = pin!(event);
        let output = poll_fn(|cx| match event.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => over.as_mut().poll(cx).map(|()| None),
        })
        .await;
        if output.is_none() {
            let finding = Finding::stall(&self.trace(), label, &on(), self.now() - began, limit);
            self.alerts()
                .raise(Alert::new(self.now(), "stall", finding));
        }
        output
    }
}
