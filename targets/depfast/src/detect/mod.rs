//! Finding out that a node has failed slow, while it runs.
//!
//! A [`Monitor`] looks at the node at regular times and shows what it sees to its detectors. What they find becomes an
//! [`Alert`], which protocol code can wait for and which can be exported.
//!
//! | detector | finds | paper (appendix A.2) |
//! |---|---|---|
//! | [`CpuDetector`] | the worker thread gets less CPU than it wants | first mechanism |
//! | [`WaitDetector`] | waits that take far longer than they did, or than they may | second mechanism |
//! | [`StallDetector`] | a coroutine that is suspended for too long, by name | second mechanism |
//! | any [`Detector`], also a closure | what its author likes | third mechanism |
//!
//! ```
//! use std::time::Duration;
//! use depfast::detect::{CpuDetector, Monitor};
//! use depfast::sim::Sim;
//!
//! let sim = Sim::new(1);
//! let env = sim.env();
//! let monitor = Monitor::start(&env, Duration::from_millis(100));
//! monitor.register(CpuDetector::default());
//! env.clone().spawn(async move {
//!     let alerts = env.alerts();
//!     let mut seen = alerts.total();
//!     loop {
//!         alerts.wait_past("alerts", seen).await;
//!         for alert in alerts.since(seen) {
//!             // A leader would hand over its leadership here.
//!             println!("{alert}");
//!         }
//!         seen = alerts.total();
//!     }
//! });
//! sim.run_for(Duration::from_secs(1));
//! ```

mod alert;
mod cpu;
mod stall;
mod waits;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub use alert::{Alert, Alerts};
pub use cpu::{CpuDetector, CpuTimes};
pub use stall::StallDetector;
pub use waits::WaitDetector;

use crate::env::Env;
use crate::time::Instant;
use crate::trace::Trace;

/// Judges what a monitor sees.
pub trait Detector {
    /// The name that its alerts carry.
    fn name(&self) -> &'static str;

    /// Looks at the node; called at regular times.
    fn observe(&mut self, seen: &Observation<'_>) -> Vec<Finding>;
}

/// A name and a closure are a detector.
impl<F: FnMut(&Observation<'_>) -> Vec<Finding>> Detector for (&'static str, F) {
    fn name(&self) -> &'static str {
        self.0
    }

    fn observe(&mut self, seen: &Observation<'_>) -> Vec<Finding> {
        (self.1)(seen)
    }
}

/// What a monitor sees of its node.
pub struct Observation<'a> {
    /// The present.
    pub now: Instant,
    /// The time since the observation before.
    pub window: Duration,
    /// The CPU times of the worker thread within the window.
    pub cpu: CpuTimes,
    /// Memory that the process occupies, in bytes; zero if that is unknown.
    pub resident: u64,
    /// All waits of the node since its start.
    pub trace: &'a Trace,
}

/// What a detector dislikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was measured.
    pub label: String,
    /// The measured value, in the detector's unit.
    pub measured: f64,
    /// The value that it should not have passed.
    pub threshold: f64,
}

/// Looks at a node at regular times. Clones are handles to the same monitor, which lives as long as the node.
#[derive(Clone)]
pub struct Monitor(Rc<RefCell<Vec<Box<dyn Detector>>>>);

impl Monitor {
    /// Starts to look at `env` once in every `period`. Ten times a second costs nothing noticeable.
    pub fn start(env: &Env, period: Duration) -> Self {
        let monitor = Self(Rc::default());
        let (detectors, env) = (Rc::clone(&monitor.0), env.clone());
        env.clone().spawn(async move {
            let (mut then, mut cpu) = (env.now(), env.cpu_times());
            loop {
                env.timeout("monitor", period).await;
                let (now, times) = (env.now(), env.cpu_times());
                let trace = env.trace();
                let seen = Observation {
                    now,
                    window: now - then,
                    cpu: times - cpu,
                    resident: env.resident_memory(),
                    trace: &trace,
                };
                (then, cpu) = (now, times);
                // Taken out, so that a detector may register another.
                let mut current = detectors.take();
                for detector in &mut current {
                    let name = detector.name();
                    for finding in detector.observe(&seen) {
                        env.alerts().raise(Alert::new(now, name, finding));
                    }
                }
                detectors.borrow_mut().splice(0..0, current);
            }
        });
        monitor
    }

    /// Has `detector` look at the node from now on.
    pub fn register(&self, detector: impl Detector + 'static) {
        self.0.borrow_mut().push(Box::new(detector));
    }
}

/// Counts observations that are bad in a row, so that one hiccup is no alert.
#[derive(Clone, Copy, Debug, Default)]
struct Strikes(u32);

impl Strikes {
    /// Counts one observation; says whether it completes a row of `patience` bad ones, which begins a new row.
    const fn count(&mut self, bad: bool, patience: u32) -> bool {
        self.0 = if bad { self.0 + 1 } else { 0 };
        let complete = self.0 >= patience;
        if complete {
            self.0 = 0;
        }
        bad && complete
    }
}
