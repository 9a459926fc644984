//! What detectors found, kept for whoever wants to know.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::Finding;
use crate::event::Waiters;
use crate::time::Instant;
use crate::trace::{Trace, WaitsOn};

/// More alerts than this and the oldest is forgotten.
const KEPT: usize = 256;

/// A sign that the node, or what it depends on, has failed slow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// When it was raised, on the node's clock.
    pub at: Instant,
    /// The detector that raised it.
    pub detector: String,
    /// What was measured.
    pub label: String,
    /// The measured value: a share from 0 to 1 for the CPU, seconds for waits, the detector's own unit for others.
    pub measured: f64,
    /// The value that it should not have passed.
    pub threshold: f64,
}

impl Alert {
    /// The alert that `finding` of `detector` leads to.
    pub fn new(at: Instant, detector: &str, finding: Finding) -> Self {
        Self {
            at,
            detector: detector.to_owned(),
            label: finding.label,
            measured: finding.measured,
            threshold: finding.threshold,
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            detector,
            label,
            measured,
            threshold,
        } = self;
        write!(
            f,
            "{at} {detector}: {label} is {measured:.3}, threshold {threshold:.3}"
        )
    }
}

/// The latest alerts of a node.
pub struct Alerts {
    kept: RefCell<VecDeque<Alert>>,
    total: Cell<u64>,
    waiters: Waiters,
    /// Not the environment, which keeps the alerts: neither would ever be freed.
    trace: Rc<Trace>,
}

impl Alerts {
    pub(crate) fn new(trace: Rc<Trace>) -> Self {
        Self {
            kept: RefCell::default(),
            total: Cell::new(0),
            waiters: Waiters::default(),
            trace,
        }
    }

    /// Adds an alert and wakes those who wait for one. Protocol code may raise its own.
    pub fn raise(&self, alert: Alert) {
        {
            let mut kept = self.kept.borrow_mut();
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(alert);
        }
        self.total.set(self.total.get() + 1);
        self.waiters.wake_all();
    }

    /// How many were ever raised.
    pub fn total(&self) -> u64 {
        self.total.get()
    }

    /// Those that were raised after the first `seen`, as far as they are kept: the latest 256 are.
    pub fn since(&self, seen: u64) -> Vec<Alert> {
        let kept = self.kept.borrow();
        let new = usize::try_from(self.total().saturating_sub(seen)).unwrap_or(usize::MAX);
        let skipped = kept.len().saturating_sub(new);
        kept.iter().skip(skipped).cloned().collect()
    }

    /// Suspends the coroutine until more than `seen` were raised.
    pub async fn wait_past(&self, label: &'static str, seen: u64) {
        let reached = || self.total() > seen;
        if !reached() {
            let _waiting = self.trace.begin(label, WaitsOn::Local);
            self.waiters.wait_until(reached).await;
        }
    }

    /// The kept alerts as a JSON array, oldest first.
    pub fn export(&self) -> String {
        serde_json::to_string(&*self.kept.borrow()).expect("alerts are plain values")
    }
}
