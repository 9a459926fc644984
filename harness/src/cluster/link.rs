use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::timeout;
use vocab::ids::NodeName;

use super::clock::ClockOffset;
use super::error::NodeError;
use super::event::{ClusterEvent, NodeEvent};
use crate::agent::clock;
use crate::agent::wire::{
    Event, Exit, FromAgent, ProcessId, Request, RequestId, Response, Sample, ToAgent,
};
use crate::causes::visible;

mod bearer;
mod tasks;

pub(super) use bearer::Launch;
pub(super) use tasks::{Ended, start};

/// Requests that may wait for the agent to read.
const WAITING_REQUESTS: usize = 64;

/// Questions for the clock of a node, of which the one with the shortest round trip counts.
const CLOCK_QUESTIONS: usize = 8;

/// Pieces of output that a job's reader may leave unread; then the whole link waits for it.
const UNREAD_OUTPUT: usize = 64;

/// The connection to one agent. Clones share it; when the last is dropped the agent's standard input closes, and the
/// agent undoes everything and ends.
#[derive(Clone)]
pub(super) struct Link {
    outgoing: mpsc::Sender<(ToAgent, Vec<u8>)>,
    shared: Arc<Shared>,
    ids: Arc<AtomicU64>,
}

/// What requests and the task that reads answers share.
pub(super) struct Shared {
    node: NodeName,
    waiting: Mutex<HashMap<RequestId, Waiting>>,
    processes: Mutex<HashMap<ProcessId, Feed>>,
    /// Why the agent is lost, once it is.
    lost: watch::Sender<Option<String>>,
    events: broadcast::Sender<ClusterEvent>,
    clock: Mutex<ClockOffset>,
}

/// A request without its response yet.
struct Waiting {
    response: oneshot::Sender<Result<(Response, Vec<u8>), NodeError>>,
    /// Where news of the process go that the request starts.
    feed: Option<Feed>,
}

/// Where news of a process go.
pub(super) struct Feed {
    output: mpsc::Sender<Vec<u8>>,
    exit: watch::Sender<Option<Exit>>,
}

/// The other ends of a [`Feed`].
pub(super) struct Fed {
    pub(super) output: mpsc::Receiver<Vec<u8>>,
    pub(super) exit: watch::Receiver<Option<Exit>>,
}

impl Feed {
    pub(super) fn new() -> (Feed, Fed) {
        let (output, output_end) = mpsc::channel(UNREAD_OUTPUT);
        let (exit, exit_end) = watch::channel(None);
        (
            Feed { output, exit },
            Fed {
                output: output_end,
                exit: exit_end,
            },
        )
    }
}

impl Link {
    /// Asks and waits for the answer, at most `within`.
    pub(super) async fn ask(
        &self,
        request: Request,
        payload: Vec<u8>,
        within: Duration,
    ) -> Result<(Response, Vec<u8>), NodeError> {
        self.ask_with(request, payload, within, None).await
    }

    /// Starts a process; its news go to `feed`, from the very first.
    pub(super) async fn ask_with(
        &self,
        request: Request,
        payload: Vec<u8>,
        within: Duration,
        feed: Option<Feed>,
    ) -> Result<(Response, Vec<u8>), NodeError> {
        let id = RequestId(self.ids.fetch_add(1, Ordering::Relaxed));
        let (response, answer) = oneshot::channel();
        self.shared.waiting().insert(id, Waiting { response, feed });
        let exchange = async {
            // A lost agent is found either here or by the reader, which drops all that wait.
            if self.shared.lost.borrow().is_some() {
                return Err(self.shared.lost_error());
            }
            let sent = self
                .outgoing
                .send((
                    ToAgent::Request {
                        id,
                        request: Box::new(request),
                    },
                    payload,
                ))
                .await;
            sent.map_err(|_| self.shared.lost_error())?;
            answer
                .await
                .unwrap_or_else(|_| Err(self.shared.lost_error()))
        };
        let result = timeout(within, exchange).await;
        self.shared.waiting().remove(&id);
        result.unwrap_or_else(|_| {
            Err(NodeError::Slow {
                node: self.shared.node.clone(),
                within,
            })
        })
    }

    /// Finds out how far the agent's clock is from this one's, and puts the agent's times in this one's from now on.
    pub(super) async fn sync_clock(&self, within: Duration) -> Result<(), NodeError> {
        let found = self.compare_clock(within).await?;
        *self.shared.clock() = found;
        Ok(())
    }

    /// Finds out how far the agent's clock is from this one's.
    pub(super) async fn compare_clock(&self, within: Duration) -> Result<ClockOffset, NodeError> {
        let mut best: Option<ClockOffset> = None;
        for _ in 0..CLOCK_QUESTIONS {
            let sent = clock::now();
            let (answer, _) = self.ask(Request::Clock, Vec::new(), within).await?;
            if let Response::Clock(told) = answer {
                let measured = ClockOffset::measured(sent, told, clock::now());
                best = Some(best.map_or(measured, |best| best.or(measured)));
            }
        }
        Ok(best.unwrap_or_default())
    }

    /// By what the agent's times are put in this one's.
    pub(super) fn clock(&self) -> ClockOffset {
        *self.shared.clock()
    }

    /// Why the agent is lost, once it is.
    pub(super) fn lost(&self) -> watch::Receiver<Option<String>> {
        self.shared.lost.subscribe()
    }
}

impl Shared {
    pub(super) fn lost_error(&self) -> NodeError {
        let reason = self
            .lost
            .borrow()
            .clone()
            .unwrap_or_else(|| "its connection is closed".into());
        NodeError::Lost {
            node: self.node.clone(),
            reason,
        }
    }

    /// Marks the agent as lost, once: fails all that waits for it, and tells everybody.
    pub(super) fn lose(&self, reason: String) {
        let first = self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            lost.get_or_insert(reason.clone());
            first
        });
        self.waiting().clear();
        self.processes().clear();
        if first {
            self.publish(NodeEvent::AgentLost { reason });
        }
    }

    /// Handles one frame; waits while a job's reader is slow.
    pub(super) async fn receive(&self, message: FromAgent, payload: Vec<u8>) {
        match message {
            FromAgent::Heartbeat => {}
            FromAgent::Response { id, result } => self.answer(id, result, payload),
            FromAgent::Event(Event::Output { process }) => {
                let output = self
                    .processes()
                    .get(&process)
                    .map(|feed| feed.output.clone());
                if let Some(output) = output {
                    // Nobody may want the output any more.
                    let _unwanted = output.send(payload).await;
                }
            }
            FromAgent::Event(Event::Exited {
                process,
                name,
                exit,
            }) => {
                let exit = Exit {
                    at: self.clock().local(exit.at),
                    ..exit
                };
                if let Some(feed) = self.processes().get(&process) {
                    feed.exit.send_replace(Some(exit));
                }
                self.publish(NodeEvent::Exited {
                    process,
                    name,
                    exit,
                });
            }
            FromAgent::Event(Event::Sample(sample)) => {
                let at = self.clock().local(sample.at);
                self.publish(NodeEvent::Sample(Sample { at, ..sample }));
            }
            FromAgent::Event(Event::FaultCleared {
                fault,
                victim,
                at,
                problem,
            }) => {
                let at = self.clock().local(at);
                self.publish(NodeEvent::FaultCleared {
                    fault,
                    victim,
                    at,
                    problem,
                });
            }
            FromAgent::Event(Event::Warning(text)) => self.publish(NodeEvent::Warning(text)),
            FromAgent::Event(Event::Leaving(reason)) => self.lose(visible(&reason)),
        }
    }

    fn answer(&self, id: RequestId, result: Result<Response, String>, payload: Vec<u8>) {
        let Some(waiting) = self.waiting().remove(&id) else {
            return;
        };
        if let (Ok(Response::Spawned { process, .. }), Some(feed)) = (&result, waiting.feed) {
            self.processes().insert(*process, feed);
        }
        let result = result
            .map(|response| (response, payload))
            .map_err(|reason| NodeError::Refused {
                node: self.node.clone(),
                reason: visible(&reason),
            });
        // Whoever asked may have stopped waiting.
        let _unwanted = waiting.response.send(result);
    }

    fn publish(&self, event: NodeEvent) {
        // Without a listener an event is lost, which is what a broadcast is for.
        let _unheard = self.events.send(ClusterEvent {
            node: self.node.clone(),
            event,
        });
    }

    fn clock(&self) -> MutexGuard<'_, ClockOffset> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<RequestId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn processes(&self) -> MutexGuard<'_, HashMap<ProcessId, Feed>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
