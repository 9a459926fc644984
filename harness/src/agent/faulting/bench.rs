use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faults::{Fault, FaultContext};
use results::ProbeMoment;

use crate::agent::clock;
use crate::agent::wire::{FaultOrder, Response};
use crate::causes::with_causes;

/// How long a node is looked at before its fault; later readings look back to when the fault was injected or cleared.
const WINDOW_BEFORE: Duration = Duration::from_millis(1500);

/// Where one fault is worked on, by one thread at a time.
#[derive(Default)]
pub(super) struct Bench(Mutex<State>);

#[derive(Default)]
enum State {
    /// Nothing is prepared.
    #[default]
    Empty,
    /// Prepared, perhaps in.
    Ready(Box<Fault>),
    /// Was in and is out again: good for a last probe.
    Spent(Box<Fault>),
    /// The agent is leaving: nothing may begin any more.
    Closed,
}

impl Bench {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn inject(
        &self,
        order: &FaultOrder,
        context: &FaultContext,
    ) -> Result<Response, String> {
        let commanded = clock::now();
        let mut state = self.state();
        let fault = prepared(&mut state, order, context)?;
        let injected = fault.inject().map_err(chain)?;
        let detail = format!("{}: {}", injected.backend, injected.detail);
        Ok(Response::Injected {
            commanded,
            effective: clock::now(),
            detail,
        })
    }

    pub(super) fn probe(
        &self,
        order: &FaultOrder,
        moment: ProbeMoment,
        context: &FaultContext,
    ) -> Result<Response, String> {
        let mut state = self.state();
        let readings = match (&mut *state, moment) {
            (
                State::Spent(fault) | State::Ready(fault),
                ProbeMoment::During | ProbeMoment::After,
            ) => fault.probe(),
            // The servers may be others than when a fault of this name was last probed.
            (State::Spent(_) | State::Ready(_) | State::Empty, ProbeMoment::Before) => {
                *state = State::Empty;
                let fault = prepared(&mut state, order, context)?;
                std::thread::sleep(WINDOW_BEFORE);
                fault.probe()
            }
            (State::Empty | State::Closed, _) => prepared(&mut state, order, context)?.probe(),
        };
        readings.map(Response::Readings).map_err(chain)
    }

    pub(super) fn clear(&self) -> Result<Response, String> {
        let mut state = self.state();
        match std::mem::take(&mut *state) {
            State::Ready(mut fault) => {
                let cleared = fault.clear().map_err(chain);
                *state = State::Spent(fault);
                cleared?;
            }
            other => *state = other,
        }
        Ok(Response::Done)
    }

    pub(super) fn close(&self) -> Result<(), String> {
        match std::mem::replace(&mut *self.state(), State::Closed) {
            State::Ready(mut fault) => fault.clear().map_err(chain),
            State::Empty | State::Spent(_) | State::Closed => Ok(()),
        }
    }
}

/// The fault, prepared now unless it was.
fn prepared<'a>(
    state: &'a mut State,
    order: &FaultOrder,
    context: &FaultContext,
) -> Result<&'a mut Fault, String> {
    if let State::Empty | State::Spent(_) = state {
        *state = State::Ready(Box::new(
            Fault::prepare(&order.kind, context).map_err(chain)?,
        ));
    }
    match state {
        State::Ready(fault) => Ok(fault),
        State::Empty | State::Spent(_) | State::Closed => {
            Err("this agent is about to end".to_owned())
        }
    }
}

/// The error and what caused it, on one line.
#[expect(
    clippy::needless_pass_by_value,
    reason = "so that `map_err` takes it as it is"
)]
fn chain(error: faults::FaultError) -> String {
    with_causes(&error)
}
